"""Mutes that somebody asked for, and windows that are declared."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.alerts.mutes import DAYS, Mute, is_muted, make_window
from tabur.errors import ConfigError
from tabur.model.clock import SECOND

BAGHDAD = ZoneInfo("Asia/Baghdad")


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND


def window(start: str, end: str, days: Any = DAYS, **given: Any) -> Any:
    plain = {"timezone": "Asia/Baghdad", "rule": "all", "queue": None}
    return make_window(start, end, days=days, **(plain | given))


@pytest.mark.parametrize(
    ("at", "holds"),
    [
        ("2026-11-27 22:59", False),  # a Friday
        ("2026-11-27 23:00", True),
        ("2026-11-28 04:59", True),
        ("2026-11-28 05:00", False),
        ("2026-11-28 23:30", False),
        ("2026-11-29 01:00", False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins(at: str, holds: bool) -> None:
    night = window("23:00", "05:00", "fri")
    moment = datetime.fromisoformat(at).replace(tzinfo=BAGHDAD)
    assert night.holds(us(moment)) == holds


@given(st.times(), st.times(), st.integers(0, 10**9))
def test_a_window_and_its_complement(start: time, end: time, at: int) -> None:
    start, end = start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0)
    if start == end:
        with pytest.raises(ConfigError, match="is empty"):
            window(start.isoformat(), end.isoformat())
        return
    moment = (10**9 + at) * SECOND
    one, other = window(str(start), str(end)), window(str(end), str(start))
    assert one.holds(moment) != other.holds(moment)


def test_what_a_mute_covers() -> None:
    mail = Mute("backlog", "mail", 0, 100)
    assert is_muted([mail], "backlog", "mail", 99)
    assert not is_muted([mail], "backlog", "mail", 100)
    assert not is_muted([mail], "backlog", "files", 50)
    assert not is_muted([mail], "no_worker", "mail", 50)
    everything = Mute("all", None, 0, None)
    assert is_muted([everything], "disk", None, 10**18)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"start": "25:00", "end": "02:00"}, "no time of the day"),
        ({"start": 2, "end": "02:00"}, "no time of the day"),
        ({"start": "01:00", "end": "02:00", "days": "someday"}, "days of the week"),
        ({"start": "01:00", "end": "02:00", "days": []}, "days of the week"),
        ({"start": "01:00", "end": "02:00", "timezone": "Baghdad"}, "Asia/Baghdad"),
        ({"start": "01:00", "end": "02:00", "timezone": None}, "Asia/Baghdad"),
    ],
)
def test_windows_that_are_none(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        window(**given)
