"""Backoff: how long until the next attempt."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.errors import ConfigError
from tabur.model.retry import Exponential, backoff_us, exponential, parse_backoff

SECOND = 1_000_000
randoms = st.floats(0, 1, exclude_max=True)


def delays(backoff: Any, attempts: int, random: float = 0.5) -> list[float]:
    parsed = parse_backoff(backoff)
    return [backoff_us(parsed, n, random) / SECOND for n in range(1, attempts + 1)]


def test_a_number_is_every_delay() -> None:
    assert delays(30, 3) == [30, 30, 30]
    assert delays(0, 2) == [0, 0]
    assert delays(0.25, 2) == [0.25, 0.25]


def test_a_lists_last_goes_on_for_ever() -> None:
    assert delays([30, 60, 120], 5) == [30, 60, 120, 120, 120]
    assert delays((1,), 2) == [1, 1]


def test_exponential_doubles_up_to_its_cap() -> None:
    assert delays(exponential(30, cap=300, jitter=False), 6) == [30, 60, 120, 240, 300, 300]
    assert delays(exponential(1, jitter=False), 20)[-1] == 3600


def test_jitter_is_anywhere_below() -> None:
    full = exponential(100, cap=100)
    assert delays(full, 1, random=0.0) == [0]
    assert delays(full, 1, random=0.25) == [25]
    assert delays(full, 1, random=0.99) == [99]


@given(
    base=st.floats(0, 1e8),
    cap=st.floats(0, 1e8),
    attempt=st.integers(1, 10**9),
    random=randoms,
)
def test_no_delay_is_above_the_cap(base: float, cap: float, attempt: int, random: float) -> None:
    for jitter in (True, False):
        backoff = Exponential(base, cap, jitter)
        assert 0 <= backoff_us(backoff, attempt, random) <= cap * SECOND


@given(base=st.floats(0.001, 1e4), attempt=st.integers(1, 40))
def test_without_jitter_no_delay_is_shorter_than_the_last(base: float, attempt: int) -> None:
    backoff = exponential(base, cap=1e6, jitter=False)
    assert backoff_us(backoff, attempt, 0.0) <= backoff_us(backoff, attempt + 1, 0.0)


@pytest.mark.parametrize(
    ("backoff", "reason"),
    [
        (-1, "backoff=-1: seconds must be a number from 0 to"),
        (float("nan"), "backoff=nan: seconds must be a number from 0 to"),
        (float("inf"), "backoff=inf: seconds must be a number from 0 to"),
        (10**30, "seconds must be a number from 0 to"),
        ([30, -1], "backoff=-1: seconds must be a number from 0 to"),
        ([30, "60"], "backoff='60': seconds must be a number from 0 to"),
        ([], "backoff=[] is not understood; write seconds (30), a list"),
        ("30", "backoff='30' is not understood; write seconds (30), a list"),
        (True, "backoff=True is not understood"),
        ([True], "backoff=True: seconds must be a number"),
        (None, "backoff=None is not understood"),
        ({30: 60}, "backoff={30: 60} is not understood"),
    ],
)
def test_what_is_no_backoff_is_refused_with_what_to_write(backoff: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        parse_backoff(backoff)


@pytest.mark.parametrize(("base", "cap"), [(-1, 3600), (float("nan"), 1), (1, -1), (1, 10**12)])
def test_an_exponential_of_odd_numbers_is_refused(base: float, cap: float) -> None:
    with pytest.raises(ConfigError, match="seconds must be a number"):
        exponential(base, cap=cap)


@pytest.mark.parametrize("odd", [(), (-5.0,), 1e308, -1.0, Exponential(1e308, 1e308, jitter=False)])
def test_what_somebody_else_wrote_into_the_store_still_gives_a_delay(odd: Any) -> None:
    assert 0 <= backoff_us(odd, 3, 0.5) <= 10 * 365 * 86_400 * SECOND
