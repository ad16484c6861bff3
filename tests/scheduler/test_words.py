"""Timings in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.errors import ConfigError
from tabur.model.languages import ARABIC, arabic_count
from tabur.model.timing import Timing, parse_timing
from tabur.model.words import in_words
from tests.scheduler.test_times import EXPRESSIONS


@pytest.mark.parametrize(
    ("expression", "english", "arabic"),
    [
        ("* * * * *", "every minute", "كل دقيقة"),
        ("*/2 * * * *", "every 2 minutes", "كل دقيقتين"),
        ("*/5 * * * *", "every 5 minutes", "كل 5 دقائق"),
        ("*/10 * * * *", "every 10 minutes", "كل 10 دقائق"),
        ("*/15 * * * *", "every 15 minutes", "كل 15 دقيقة"),
        ("0,30 * * * *", "every 30 minutes", "كل 30 دقيقة"),
        ("0 * * * *", "every hour", "كل ساعة"),
        ("0 */2 * * *", "every 2 hours", "كل ساعتين"),
        ("0 0,3,6,9,12,15,18,21 * * *", "every 3 hours", "كل 3 ساعات"),
        ("17 * * * *", "at minute 17 of every hour", "عند الدقيقة 17 من كل ساعة"),
        ("5,35 * * * *", "at minutes 5 and 35 of every hour", "عند الدقيقتين 5 و 35 من كل ساعة"),
        ("every second", "every second", "كل ثانية"),
        ("every 2 seconds", "every 2 seconds", "كل ثانيتين"),
        ("every 10 seconds", "every 10 seconds", "كل 10 ثوانٍ"),
        ("every 30 seconds", "every 30 seconds", "كل 30 ثانية"),
        ("30 2 * * *", "every day at 02:30", "كل يوم في الساعة 02:30"),
        ("0 2,14 * * *", "every day at 02:00 and 14:00", "كل يوم في الساعة 02:00 و 14:00"),
        ("0 0 * * 0", "at 00:00 on Sunday", "في الساعة 00:00 يوم الأحد"),
        ("0 0 * * 7", "at 00:00 on Sunday", "في الساعة 00:00 يوم الأحد"),
        (
            *("0 8 * * 1-5", "at 08:00 from Monday to Friday"),
            "في الساعة 08:00 من الاثنين إلى الجمعة",
        ),
        ("0 8 * * 6,0", "at 08:00 on Sunday and Saturday", "في الساعة 08:00 يومي الأحد والسبت"),
        (
            *("0 8 * * 1,3,5", "at 08:00 on Monday, Wednesday and Friday"),
            "في الساعة 08:00 أيام الاثنين والأربعاء والجمعة",
        ),
        ("0 0 1 * *", "at 00:00 on day 1 of the month", "في الساعة 00:00 في اليوم 1 من الشهر"),
        (
            *("0 0 1,15 * *", "at 00:00 on days 1 and 15 of the month"),
            "في الساعة 00:00 في اليومين 1 و 15 من الشهر",
        ),
        (
            "0 0 L * *",
            "at 00:00 on the last day of the month",
            "في الساعة 00:00 في آخر يوم من الشهر",
        ),
        (
            *("0 0 LW * *", "at 00:00 on the last weekday of the month"),
            "في الساعة 00:00 في آخر يوم عمل من الشهر",
        ),
        (
            *("0 9 * * MON#2", "at 09:00 on the second Monday of the month"),
            "في الساعة 09:00 في الاثنين الثاني من الشهر",
        ),
        (
            *("0 9 * * 5L", "at 09:00 on the last Friday of the month"),
            "في الساعة 09:00 في الجمعة الأخيرة من الشهر",
        ),
        (
            *("0 0 13 * 5", "at 00:00 on day 13 of the month or on Friday"),
            "في الساعة 00:00 في اليوم 13 من الشهر أو يوم الجمعة",
        ),
        (
            *("0 0 1-7,*/31 * 1", "at 00:00 on days 1–7 of the month or on Monday"),
            "في الساعة 00:00 في الأيام 1–7 من الشهر أو يوم الاثنين",
        ),
        (
            *("0 0 */16 * 1", "at 00:00 on days 1 and 17 of the month and only on Monday"),
            "في الساعة 00:00 في اليومين 1 و 17 من الشهر إذا كان يوم الاثنين",
        ),
        (
            *("0 0 1 1,7 *", "at 00:00 on day 1 of the month in January and July"),
            "في الساعة 00:00 في اليوم 1 من الشهر في شهري يناير ويوليو",
        ),
        (
            *("*/15 8-17 * * *", "every 15 minutes from 08:00 to 17:59"),
            "كل 15 دقيقة من 08:00 إلى 17:59",
        ),
        (
            *("3,7,11-19 1,2,9 * * *", "at minutes 3, 7 and 11–19 of hours 1, 2 and 9"),
            "عند الدقائق 3 و 7 و 11–19 من الساعات 1 و 2 و 9",
        ),
    ],
)
def test_in_both_languages(expression: str, english: str, arabic: str) -> None:
    timing = parse_timing(expression)
    assert in_words(timing) == english
    assert in_words(timing, "ar") == arabic


def test_the_zone_is_told_where_it_is_not_utc() -> None:
    assert in_words(parse_timing("@daily", "Asia/Baghdad")) == "every day at 00:00 (Asia/Baghdad)"


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (1, "ساعة"),
        (2, "ساعتين"),
        (3, "3 ساعات"),
        (10, "10 ساعات"),
        (11, "11 ساعة"),
        (99, "99 ساعة"),
        (100, "100 ساعة"),
        (102, "102 ساعة"),
        (103, "103 ساعات"),
    ],
)
def test_arabic_counts(count: int, told: str) -> None:
    assert arabic_count(count, ARABIC.hour) == told


def test_eleven_days_and_more_take_the_accusative() -> None:
    assert arabic_count(2, ARABIC.day) == "يومين"
    assert arabic_count(11, ARABIC.day) == "11 يومًا"


@given(EXPRESSIONS, st.sampled_from([None, 1, 30]), st.sampled_from(["en", "ar"]))
def test_none_is_without_words(expression: str, every: int | None, language: str) -> None:
    said = in_words(Timing(expression, every=every), language)
    assert said == " ".join(said.split())
    assert "{" not in said
    assert said.isprintable()


def test_a_language_that_is_not_known() -> None:
    with pytest.raises(ConfigError, match="en, ar"):
        in_words(Timing(), "fr")
