"""The table of docs/schedules.md about changes of the clock, executed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest

from tabur.model.clock import moment_us
from tabur.model.timing import parse_timing, times_of
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "schedules.md").read_text("utf-8")
ROWS = re.findall(r"^\| `([^`]+)` \| (\S+/\S+) \| ([\d-]+) \| (.+) \|$", PAGE, re.MULTILINE)


def test_the_table_is_found() -> None:
    assert len(ROWS) >= 12


@pytest.mark.parametrize(("expression", "zone", "day", "expected"), ROWS)
def test_what_is_due_on_a_day(expression: str, zone: str, day: str, expected: str) -> None:
    times = times_of(parse_timing(expression, zone))
    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = moment_us(begin + timedelta(days=1))  # by the wall clock
    upcoming = takewhile(lambda at: at < end, times.upcoming(moment_us(begin) - 1))
    found = [times.local(at).strftime("%H:%M %z") for at in upcoming]
    told = [] if expected == "never" else expected.split(", ")
    if told[-1:] == ["…"]:
        told, found = told[:-1], found[: len(told) - 1]
    assert found == told
