"""When schedules are due, against an oracle that shares no code with them, and at known changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chaos.cron import runs
from tabur.errors import ConfigError
from tabur.model.clock import SECOND
from tabur.model.timing import INTERVALS, Times, Timing, parse_timing, times_of

ZONES = (
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Baghdad",
    "Europe/Dublin",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Kathmandu",
)


def times(expression: str, zone: str = "UTC") -> Times:
    return times_of(parse_timing(expression, zone))


def us(moment: str) -> int:
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * SECOND


def shown(expression: str, zone: str, begin: str, count: int) -> list[str]:
    """What the clock in the zone shows when it is due, from a moment in UTC on."""
    found = times(expression, zone)
    upcoming = islice(found.upcoming(us(begin) - 1), count)
    return [found.local(at).strftime("%m-%d %H:%M %z") for at in upcoming]


# as cron(8) has it


def field(least: int, most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    # (Of `5-5/2` cronsim makes `5/2`, which cron does not know.)
    spans = st.sets(numbers, min_size=2, max_size=2).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.integers(1, max(2, (most - least) // 2))
    listed = st.lists(numbers.map(str), min_size=1, max_size=3).map(",".join)
    stepped = st.tuples(st.one_of(st.just("*"), spans), steps).map(
        lambda pair: "{}/{}".format(*pair)
    )
    return st.one_of(st.just("*"), listed, spans, stepped)


EXPRESSIONS = st.tuples(*(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7))).map(
    " ".join
)
#: Seconds: from 1975 to 2037, in which zones have set their clocks in many ways.
MOMENTS = st.integers(157_766_400, 2_114_380_800).map(lambda second: second // 60 * 60)
#: Days at which one of the zones sets its clock.
CHANGES = st.sampled_from(
    [
        *("2026-03-08", "2026-11-01", "2026-04-04", "2026-10-03", "2026-02-15", "2026-03-22"),
        *("2011-12-29", "2010-09-25", "2018-11-04", "2018-02-17", "2023-04-27", "2024-10-31"),
    ]
).map(lambda day: us(day) // SECOND)


@settings(phases=[Phase.explicit, Phase.reuse, Phase.generate])  # to shrink takes minutes
@given(EXPRESSIONS, st.sampled_from(ZONES), st.one_of(MOMENTS, CHANGES))
def test_every_tick_of_two_days_is_where_cron_has_it(
    expression: str, zone: str, begin: int
) -> None:
    end = begin + 2 * 86_400
    (expected,) = runs([expression], zone, begin, end)
    found = times(expression, zone)

    upcoming = takewhile(lambda at: at <= end * SECOND, found.upcoming(begin * SECOND - 1))

    # What the clock skipped before `begin` and cron made up for then is before the oracle's time.
    assert [at // SECOND for at in upcoming] == expected


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS, st.integers(1, 10**9))
def test_from_wherever_one_looks_the_next_is_the_same(
    expression: str, zone: str, begin: int, share: int
) -> None:
    found = times(expression, zone)
    following = found.after(begin * SECOND)
    assert following is not None
    between = begin * SECOND + (following - begin * SECOND) * share // 10**9
    if between < following:
        assert found.after(between) == following


def changes(zone: str) -> list[int]:
    """The days of ten years in which its clock is set, in seconds."""
    clock = ZoneInfo(zone)
    days = range(us("2022-01-01") // SECOND, us("2032-01-01") // SECOND, 86_400)
    offsets = [datetime.fromtimestamp(day, clock).utcoffset() for day in days]
    return [days[n] for n in range(len(days) - 1) if offsets[n] != offsets[n + 1]]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", *ZONES[:4]])
def test_around_each_change_of_ten_years(zone: str) -> None:
    """By expressions that meet it."""
    lines = ["30 2 * * *", "0,30 0-4 * * *", "*/10 0-4 * * *", "7 */2 * * *", "45 23 * * 0"]
    for day in changes(zone):
        begin, end = day - 3_600, day + 100_000
        for line, expected in zip(lines, runs(lines, zone, begin, end), strict=True):
            found = times(line, zone).upcoming(begin * SECOND - 1)
            upcoming = takewhile((end * SECOND).__ge__, found)
            assert [at // SECOND for at in upcoming] == expected, (line, day)


# at known changes, as the table in docs/schedules.md tells them


@pytest.mark.parametrize(
    ("expression", "zone", "begin", "expected"),
    [
        # 02:00 → 03:00
        ("30 2 * * *", "America/New_York", "2026-03-08T05:00", ["03-08 03:00 -0400"]),
        ("15,45 2 * * *", "America/New_York", "2026-03-08T05:00", ["03-08 03:00 -0400"]),
        ("*/30 2 * * *", "America/New_York", "2026-03-08T05:00", ["03-09 02:00 -0400"]),
        # 02:00 → 01:00
        ("30 1 * * *", "America/New_York", "2026-11-01T04:00", ["11-01 01:30 -0400"]),
        (
            *("*/30 1 * * *", "America/New_York", "2026-11-01T04:00"),
            ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 01:00 -0500", "11-01 01:30 -0500"],
        ),
        # half an hour: 02:00 → 02:30, 02:00 → 01:30
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00", ["10-04 02:30 +1100"]),
        ("*/10 3 * * *", "Australia/Lord_Howe", "2026-10-03T14:00", ["10-04 03:00 +1100"]),
        (
            *("*/20 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00"),
            ["04-05 01:00 +1100", "04-05 01:20 +1100", "04-05 01:40 +1100", "04-05 01:40 +1030"],
        ),
        # midnight is skipped
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00", ["04-24 01:00 +0300"]),
        # a whole day is: no summer time
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00", ["12-30 12:00 +1400"]),
    ],
)
def test_at_a_change_of_the_clock(
    expression: str, zone: str, begin: str, expected: list[str]
) -> None:
    assert shown(expression, zone, begin, len(expected)) == expected


def test_a_fixed_time_in_a_repeated_hour_comes_once() -> None:
    assert shown("30 1 * * *", "America/New_York", "2026-11-01T04:00", 2) == [
        "11-01 01:30 -0400",
        "11-02 01:30 -0500",
    ]


# below a minute


@pytest.mark.parametrize("seconds", INTERVALS)
def test_an_interval_fills_every_minute(seconds: int) -> None:
    found = list(
        islice(times(f"every {seconds} seconds").upcoming(us("2026-01-01") - 1), 120 // seconds)
    )
    assert found == [us("2026-01-01") + n * SECOND for n in range(0, 120, seconds)]


def test_an_interval_in_the_minutes_of_an_expression() -> None:
    found = times("every 30 seconds 0 8 * * *", "Asia/Baghdad")
    upcoming = [found.local(at).strftime("%d %H:%M:%S") for at in islice(found.upcoming(0), 3)]
    assert upcoming == ["01 08:00:00", "01 08:00:30", "02 08:00:00"]


def test_every_second_across_a_change() -> None:
    begin = us("2026-03-08T06:59:58")
    assert list(islice(times("every second", "America/New_York").upcoming(begin), 4)) == [
        begin + n * SECOND for n in range(1, 5)
    ]


# other forms


@pytest.mark.parametrize(
    ("given", "expression"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@Weekly", "0 0 * * 0"),
        ("  */5   *  * * * ", "*/5 * * * *"),
        ("every second", "every second"),
        ("every 1 second", "every second"),
        ("every 30 seconds", "every 30 seconds"),
        ("every 30 seconds * 8 * * *", "every 30 seconds * 8 * * *"),
    ],
)
def test_what_a_person_writes(given: str, expression: str) -> None:
    assert parse_timing(given).expression == expression
    assert parse_timing(parse_timing(given).expression) == parse_timing(given)


def test_days_that_cron_of_debian_does_not_know() -> None:
    at = us("2026-01-01")
    days = {
        expression: times(expression).local(times(expression).after(at) or 0).strftime("%m-%d")
        for expression in ("0 0 L * *", "0 0 LW * *", "0 0 * * FRI#2", "0 0 * * 5L", "0 0 29 2 *")
    }
    assert list(days.values()) == ["01-31", "01-30", "01-09", "01-30", "02-29"]


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("0 0 30 2 *", "there is no such date"),
        ("0 0 31 4,6,9,11 *", "there is no such date"),
        ("61 * * * *", "minute '61' is not understood; 0-59"),
        ("0 24 * * *", "hour '24' is not understood; 0-23"),
        ("0 0 * * 8", "day of week '8' is not understood"),
        ("*/0 * * * *", "minute '*/0' is not understood"),
        ("0 0 * * MON#1/2", "day of week 'MON#1/2' is not understood"),
        ("* * * *", "five fields are needed"),
        ("* * * * * *", "five fields are needed"),
        ("", "five fields are needed"),
        ("@reboot", "there is no boot here"),
        ("every 45 seconds", "does not fill a minute evenly"),
        ("every 5 minutes", "write 'every 30 seconds', or five fields"),
        ("every", "five fields are needed"),
        ("x" * 10_000, "five fields are needed"),
        ("1," * 500 + "1 * * * *", "five fields are needed"),
        (None, "a text is needed"),
        (5, "a text is needed"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(expression: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"cron=|every") as told:
        parse_timing(expression)
    assert says in str(told.value)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize("zone", ["Asia/Bagdad", "", "../../etc/passwd", "Europe", None, 3])
def test_a_zone_that_is_none(zone: str) -> None:
    with pytest.raises(ConfigError, match="timezone="):
        parse_timing("* * * * *", zone)


def test_a_zone_that_is_nearly_one() -> None:
    with pytest.raises(ConfigError, match="Did you mean Asia/Baghdad"):
        parse_timing("* * * * *", "Asia/Bagdad")


@given(st.text(max_size=40))
def test_no_text_is_more_than_a_config_error(text: str) -> None:
    try:
        found = times(text)
    except ConfigError:
        return
    assert found.after(0) is not None


def test_the_end_of_time() -> None:
    assert times("* * * * *").after(us("9999-12-31")) is None
    leap = times("0 0 29 2 *")
    assert leap.local(leap.after(us("2096-03-01")) or 0).year == 2104  # 2100 has no such day


def test_a_schedule_is_found_quickly() -> None:
    """A day of minutes in a zone with summer time, well within a second."""
    found = times("*/1 0-23 * * *", "America/New_York")
    began = datetime.now(UTC)
    assert len(list(islice(found.upcoming(0), 1440))) == 1440
    assert datetime.now(UTC) - began < timedelta(seconds=5)


def test_one_timing_is_compiled_once() -> None:
    assert times_of(Timing("1 2 3 4 *")) is times_of(Timing("1 2 3 4 *"))
