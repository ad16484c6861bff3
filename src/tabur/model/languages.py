"""The words in which a timing is told, one table for each language."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec


class Language(msgspec.Struct, frozen=True):
    """Texts with `{}` for what is told; three of them are for one, for two, and for more. A unit is
    its forms, as `every` needs them."""

    every: Callable[[int, tuple[str, ...]], str]
    listed: Callable[[Sequence[str]], str]
    second: tuple[str, ...]
    minute: tuple[str, ...]
    hour: tuple[str, ...]
    day: tuple[str, ...]
    at: str
    between: str
    at_minutes: tuple[str, str, str]
    of_each: str
    of_hours: tuple[str, str, str]
    on_days: tuple[str, str, str]
    last_day: str
    last_weekday: str
    on: tuple[str, str, str]
    on_days_from: str
    on_nth: str
    either: str
    only_if: str
    in_months: tuple[str, str, str]
    weekdays: tuple[str, ...]
    """From Sunday."""
    months: tuple[str, ...]
    ordinals: tuple[str, ...]
    """Of a weekday in its month: the last one, the first to the fifth."""
    feminine: dict[int, tuple[str, ...]] = {}
    """The same for weekdays that are feminine."""

    def told(self, forms: tuple[str, str, str], count: int) -> str:
        return forms[min(count, 3) - 1]

    def nth(self, day: int, which: int) -> str:
        """`on the second Monday of the month`; `which` 0: the last."""
        ordinal = self.feminine.get(day, self.ordinals)[which]
        return self.on_nth.format(ordinal=ordinal, day=self.weekdays[day])

    def of_every(self, hours: int) -> str:
        """`of every hour`, `of every 2 hours`."""
        return self.of_each.format(self.every(hours, self.hour))


def _english_every(count: int, unit: tuple[str, ...]) -> str:
    one, many = unit
    return f"every {one}" if count == 1 else f"every {count} {many}"


def _english_list(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def arabic_count(count: int, unit: tuple[str, ...]) -> str:
    """A number with what it counts, in the genitive: one and two are forms of the noun, 3 to 10
    take its plural, 11 to 99 its singular in the accusative, what ends in 00 to 02 the singular."""
    one, two, plural, accusative = unit
    if count == 1:
        return one
    if count == 2:
        return two
    rest = count % 100
    if 3 <= rest <= 10:
        return f"{count} {plural}"
    return f"{count} {accusative if rest > 10 else one}"


def _arabic_every(count: int, unit: tuple[str, ...]) -> str:
    return f"كل {arabic_count(count, unit)}"


def _arabic_list(parts: Sequence[str]) -> str:
    """`و` is written before each of them, joined to a word but not to a number."""
    return " ".join(
        part if n == 0 else f"و{part}" if not part[:1].isdigit() else f"و {part}"
        for n, part in enumerate(parts)
    )


ENGLISH = Language(
    every=_english_every,
    listed=_english_list,
    second=("second", "seconds"),
    minute=("minute", "minutes"),
    hour=("hour", "hours"),
    day=("day", "days"),
    at="at {}",
    between="from {} to {}",
    at_minutes=("at minute {}", "at minutes {}", "at minutes {}"),
    of_each="of {}",
    of_hours=("of hour {}", "of hours {}", "of hours {}"),
    on_days=("on day {} of the month", "on days {} of the month", "on days {} of the month"),
    last_day="on the last day of the month",
    last_weekday="on the last weekday of the month",
    on=("on {}", "on {}", "on {}"),
    on_days_from="from {} to {}",
    on_nth="on the {ordinal} {day} of the month",
    either="{} or {}",
    only_if="and only {}",
    in_months=("in {}", "in {}", "in {}"),
    weekdays=("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    months=(
        *("January", "February", "March", "April", "May", "June", "July"),
        *("August", "September", "October", "November", "December"),
    ),
    ordinals=("last", "first", "second", "third", "fourth", "fifth"),
)

ARABIC = Language(
    every=_arabic_every,
    listed=_arabic_list,
    second=("ثانية", "ثانيتين", "ثوانٍ", "ثانية"),
    minute=("دقيقة", "دقيقتين", "دقائق", "دقيقة"),
    hour=("ساعة", "ساعتين", "ساعات", "ساعة"),
    day=("يوم", "يومين", "أيام", "يومًا"),
    at="في الساعة {}",
    between="من {} إلى {}",
    at_minutes=("عند الدقيقة {}", "عند الدقيقتين {}", "عند الدقائق {}"),
    of_each="من {}",
    of_hours=("من الساعة {}", "من الساعتين {}", "من الساعات {}"),
    on_days=("في اليوم {} من الشهر", "في اليومين {} من الشهر", "في الأيام {} من الشهر"),
    last_day="في آخر يوم من الشهر",
    last_weekday="في آخر يوم عمل من الشهر",
    on=("يوم {}", "يومي {}", "أيام {}"),
    on_days_from="من {} إلى {}",
    on_nth="في {day} {ordinal} من الشهر",
    either="{} أو {}",
    only_if="إذا كان {}",
    in_months=("في شهر {}", "في شهري {}", "في أشهر {}"),
    weekdays=("الأحد", "الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الجمعة", "السبت"),
    months=(
        *("يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو"),
        *("أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"),
    ),
    ordinals=("الأخير", "الأول", "الثاني", "الثالث", "الرابع", "الخامس"),
    feminine={5: ("الأخيرة", "الأولى", "الثانية", "الثالثة", "الرابعة", "الخامسة")},
)
