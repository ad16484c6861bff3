"""Arguments and results as JSON: equal on the other side, or refused with a reason."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.errors import PayloadError
from tabur.model.codec import (
    MAX_ERROR,
    MAX_RESULT,
    REQUIRED,
    ArgumentCodec,
    decode_result,
    describe,
    encode_result,
)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Unit(StrEnum):
    PIECE = "piece"


class Address(msgspec.Struct, frozen=True):
    city: str
    floor: int | None = None


@dataclass
class Line:
    sku: str
    price: Decimal
    at: datetime
    tags: list[Unit] = field(default_factory=list)
    address: Address | None = None


texts = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
whole = st.integers(-(2**70), 2**70)
real = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
moments = st.datetimes(timezones=st.none() | st.just(UTC))
addresses = st.builds(Address, texts, st.none() | st.integers(0, 90))
lines = st.builds(
    Line, texts, decimals, moments, st.lists(st.just(Unit.PIECE), max_size=2), st.none() | addresses
)
KINDS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, whole),
    "float": (float, real),
    "bool": (bool, st.booleans()),
    "str": (str, texts),
    "bytes": (bytes, st.binary(max_size=40)),
    "datetime": (datetime, moments),
    "date": (date, st.dates()),
    "time": (time, st.times()),
    "timedelta": (timedelta, st.timedeltas()),
    "Decimal": (Decimal, decimals),
    "UUID": (UUID, st.uuids()),
    "Path": (Path, st.lists(texts, max_size=3).map(lambda parts: Path("var", *parts))),
    "Enum": (Colour, st.sampled_from(Colour)),
    "IntEnum": (Size, st.sampled_from(Size)),
    "Struct": (Address, addresses),
    "dataclass": (Line, lines),
    "list": (list[Line], st.lists(lines, max_size=3)),
    "dict": (dict[str, list[Address]], st.dictionaries(texts, st.lists(addresses, max_size=2))),
    "dict of dates": (dict[date, int], st.dictionaries(st.dates(), whole, max_size=3)),
    "dict of ids": (dict[UUID, Decimal], st.dictionaries(st.uuids(), decimals, max_size=3)),
    "tuple": (tuple[int, str, UUID], st.tuples(whole, texts, st.uuids())),
    "set": (set[UUID], st.sets(st.uuids(), max_size=3)),
    "optional": (Line | None, st.none() | lines),
}


def codec_of(kind: Any) -> ArgumentCodec:
    return ArgumentCodec("job", {"value": (kind, REQUIRED)})


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_what_goes_in_comes_out(name: str, data: st.DataObject) -> None:
    kind, values = KINDS[name]
    codec = codec_of(kind)
    value = data.draw(values)
    payload, arguments = codec.check({"value": value})
    assert arguments.value == value
    assert codec.decode(payload).value == value
    assert type(arguments.value) is type(value)


@given(st.datetimes(timezones=st.timezones()))
def test_a_moment_in_any_zone_stays_that_moment_or_is_refused(moment: datetime) -> None:
    offset = moment.utcoffset()
    assert offset is not None
    if offset % timedelta(minutes=1):
        with pytest.raises(PayloadError, match="off by seconds"):
            codec_of(datetime).check({"value": moment})
    else:
        _, arguments = codec_of(datetime).check({"value": moment})
        assert arguments.value.astimezone(UTC) == moment.astimezone(UTC)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | real | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_without_a_type_plain_values_come_out_as_they_went_in(value: Any) -> None:
    _, arguments = codec_of(Any).check({"value": value})
    assert arguments.value == value


@given(st.integers(2**64, 2**200) | st.integers(-(2**200), -(2**63) - 1))
def test_without_a_type_a_huge_number_is_exact_or_refused(value: int) -> None:
    try:
        _, arguments = codec_of(Any).check({"value": value})
    except PayloadError:
        return
    assert arguments.value == value
    assert type(arguments.value) is int


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 7))
def test_what_json_has_no_number_for_is_refused_wherever_it_hides(number: float, at: int) -> None:
    hiding: list[tuple[Any, Any]] = [
        (float, number),
        (Any, {"a": [number]}),
        (list[float], [1.0, number]),
        (dict[str, float], {"a": number}),
        (tuple[float, ...], (number,)),
        (set[float], {number}),
        (Any, [[[[[[number]]]]]]),
        (dict[float, int], {number: 1}),
    ]
    kind, value = hiding[at]
    with pytest.raises(PayloadError, match="JSON has no such number"):
        codec_of(kind).check({"value": value})


@dataclass
class Measured:
    value: float


class Weighed(msgspec.Struct):
    value: float


@pytest.mark.parametrize("kind", [Measured, Weighed])
def test_nan_in_a_field_is_refused(kind: Any) -> None:
    with pytest.raises(PayloadError, match=r"value\.value is nan"):
        codec_of(kind).check({"value": kind(math.nan)})


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (int, "7", "Expected `int`, got `str` - at `$.value`"),
        (int, 1.5, "Expected `int`, got `float`"),
        (str, None, "Expected `str`, got `null`"),
        (Colour, "green", "Invalid enum value 'green'"),
        (UUID, "7", "Invalid UUID"),
        (datetime, "yesterday", "Invalid RFC3339"),
        (Any, object(), "a builtins.object cannot be kept as JSON. Pass its id"),
        (Any, lambda: 1, "cannot be kept as JSON. Pass its id"),
        (Any, "\ud800", "lone surrogate (position 0)"),
        (Any, {"\udfff": 1}, "lone surrogate"),
        (Any, {(1, 2): 3}, "job: "),
        (list[int], [1, "2"], "Expected `int`, got `str` - at `$.value[1]`"),
        (Address, {"city": "Basra", "floor": "top"}, "Expected `int | null`, got `str`"),
        (str, "x" * (1024 * 1024), "1,048,576 are allowed. Store the data (a table, a file)"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_reason(kind: Any, value: Any, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        codec_of(kind).check({"value": value})
    assert str(refused.value).startswith("job: ")
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 500


@given(st.binary(max_size=200))
def test_bytes_that_are_no_payload_are_refused_and_nothing_else_happens(payload: bytes) -> None:
    codec = ArgumentCodec("job", {"a": (int, REQUIRED), "b": (list[str], [])})
    with suppress(PayloadError):
        assert type(codec.decode(payload).a) is int


@pytest.mark.parametrize("depth", [900, 10_000, 200_000])
def test_a_payload_nested_too_deep_is_refused(depth: int) -> None:
    with pytest.raises(PayloadError, match="job: "):
        codec_of(list[int]).decode(b'{"value":' + b"[" * depth + b"]" * depth + b"}")
    nested: Any = 1
    for _ in range(depth):
        nested = [nested]
    if depth > 1000:
        with pytest.raises(PayloadError, match="nested too deeply"):
            codec_of(Any).check({"value": nested})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"a": 1, "new": 2}', "unknown field `new`"),
        (b"{}", "missing required field `a`"),
        (b'{"a": "1"}', "Expected `int`, got `str`"),
        (b"[1]", "Expected `object`, got `array`"),
        (b"", "truncated"),
        (b'{"a": 1} tail', "malformed"),
        (b'{"a": \xff}', "job: "),
    ],
)
def test_a_payload_of_other_arguments_says_what_differs(payload: bytes, reason: str) -> None:
    codec = ArgumentCodec("job", {"a": (int, REQUIRED)})
    with pytest.raises(PayloadError, match=reason):
        codec.decode(payload)


def test_a_type_that_json_cannot_carry_is_refused_where_it_is_declared() -> None:
    with pytest.raises(PayloadError, match="job: argument 'value': Type unions may not"):
        ArgumentCodec("job", {"value": (dict[str, int] | Address | Line, REQUIRED)})
    for kind in (object(), Thread, list[Thread], dict[str, Thread | None]):
        with pytest.raises(PayloadError, match="job: argument 'value'"):
            ArgumentCodec("job", {"value": (kind, REQUIRED)})


def test_equal_arguments_have_one_canonical_form() -> None:
    codec = ArgumentCodec("job", {"a": (int, REQUIRED), "b": (dict[str, int], {"x": 1, "y": 2})})
    given: list[dict[str, Any]] = [{"a": 1}, {"b": {"y": 2, "x": 1}, "a": 1}]
    assert len({codec.canonical(codec.check(each)[1]) for each in given}) == 1


@given(json_values)
def test_results_come_out_as_they_went_in(value: Any) -> None:
    assert decode_result(encode_result(value)) == value


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (object(), "The job did its work, but its result cannot be kept: a builtins.object"),
        (math.nan, "but its result cannot be kept: the result is nan"),
        ("x" * MAX_RESULT, "65,536 are allowed. Return a summary and ctx.attach"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_result_that_cannot_be_kept_says_that_the_work_is_done(result: Any, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        encode_result(result)
    assert reason in str(refused.value)


def test_any_error_can_be_described() -> None:
    class BadlyWritten(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    for error in (
        BadlyWritten(),
        ValueError("\0\ud800" * 10_000),
        KeyboardInterrupt(),
        ExceptionGroup("many", [ValueError("x" * 1000) for _ in range(50)]),
        ValueError(),
    ):
        info = describe(error)
        assert info.type == type(error).__qualname__[:200]
        assert info.message
        assert len(msgspec.json.encode(info)) < 4 * MAX_ERROR
        sizes = (len(each.encode()) for each in (info.type, info.message, info.traceback))
        assert sum(sizes) <= MAX_ERROR
