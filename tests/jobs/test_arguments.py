"""Arguments: what goes in comes out equal in the job, or is refused where the job is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import msgspec
import pytest

from tabur import FunctionJob, Job, JobContext, PayloadError, Tabur

jobs = Tabur(connection="sync")


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    sku: str
    price: Decimal


class Address(msgspec.Struct, frozen=True):
    city: str
    floor: int | None = None


@jobs.job()
def add(a: int, b: int = 2) -> int:
    return a + b


wrongly: Any = add  # type checkers see these mistakes too


@jobs.job()
def untyped(value) -> Any:  # type: ignore[no-untyped-def]  # the point
    return value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 2**80),
        (float, 0.1),
        (float, 3),
        (bool, True),
        (str, "طابور"),
        (bytes, b"\0\xff"),
        (int | None, None),
        (datetime, datetime(2026, 11, 22, 10, tzinfo=UTC)),
        (datetime, datetime(2026, 11, 22, 10)),  # noqa: DTZ001  # stays as naive as it was
        (date, date(2026, 11, 22)),
        (timedelta, timedelta(minutes=5)),
        (Decimal, Decimal("19.90")),
        (UUID, UUID(int=7)),
        (Path, Path("var/list.csv")),
        (Colour, Colour.RED),
        (Line, Line("A1", Decimal("2.50"))),
        (Address, Address("Basra")),
        (list[Line], [Line("A1", Decimal("2.50"))]),
        (dict[str, date], {"start": date(2026, 1, 1)}),
        (dict[int, str], {1: "one"}),
        (tuple[int, str], (1, "one")),
        (set[int], {1, 2}),
        (Literal["fast", "slow"], "fast"),
    ],
)
def test_what_may_be_an_argument(kind: Any, value: Any) -> None:
    seen: list[Any] = []

    def keep(value) -> None:  # type: ignore[no-untyped-def]  # the point
        seen.append(value)

    keep.__annotations__ = {"value": kind, "return": None}
    job: FunctionJob[..., None] = Tabur(connection="sync").job()(keep)
    job.dispatch(value=value)
    assert seen == [value]
    assert type(seen[0]) is type(value) or isinstance(value, int)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wrongly("7"), "add: Expected `int`, got `str` - at `$.a`"),
        (lambda: wrongly(True), "add: Expected `int`, got `bool` - at `$.a`"),
        (wrongly, "add: Object missing required field `a`"),
        (lambda: wrongly(1, 2, 3), "add takes 2 arguments, 3 given."),
        (lambda: wrongly(1, a=1), "add got a twice."),
        (lambda: wrongly(a=1, c=1), "add: Object contains unknown field `c`"),
        (lambda: untyped(object()), "untyped: a builtins.object cannot be kept as JSON. Pass its"),
        (lambda: untyped({"a": [float("nan")]}), "untyped: value['a'][0] is nan; JSON has no such"),
        (lambda: untyped(float("inf")), "untyped: value is inf; JSON has no such number."),
        (lambda: untyped("\ud800"), "untyped: text with a lone surrogate (position 0) is not"),
        (lambda: untyped("x" * 1_048_577), "untyped: the arguments take 1,048,589 bytes, and "),
    ],
)
def test_what_may_not(call: Any, message: str) -> None:
    with pytest.raises(PayloadError, match=f"^{re.escape(message)}"):
        call()


def test_nested_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(PayloadError, match="nested too deeply"):
        untyped(endless)


def test_without_a_type_the_job_gets_what_json_makes_of_it() -> None:
    assert untyped((1, 2)).args.value == [1, 2]
    assert untyped(date(2026, 1, 1)).args.value == "2026-01-01"


def test_defaults_hold_and_are_not_shared() -> None:
    @jobs.job()
    def collect(into: list[int] = []) -> list[int]:  # noqa: B006  # that is the point
        into.append(1)
        return into

    assert add(a=1).run() == 3
    assert (collect().run(), collect().run()) == ([1], [1])


def test_a_class_checks_its_fields_when_it_is_made() -> None:
    @jobs.register
    class Sync(Job[str]):
        table: str
        limit: int = 500

        def handle(self, ctx: JobContext) -> str:
            return f"{self.table} {self.limit}"

    assert Sync(table="products").run() == "products 500"
    with pytest.raises(PayloadError, match=r"^Sync: Expected `int`, got `str` - at `\$\.limit`"):
        Sync(table="products", limit="many")  # type: ignore[arg-type]  # the point
