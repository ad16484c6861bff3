"""How the application's code says what is due when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tabur import Job, JobContext, PayloadError, Tabur
from tabur.errors import ConfigError
from tabur.model.states import Isolation
from tabur.model.ticks import Missed, Overlap, TickPolicy, Window
from tabur.scheduler.entry import Declared, Entry


def nothing() -> None:
    pass


def alone(jobs: Tabur) -> Declared:
    (declared,) = jobs.schedule.declared().values()
    return declared


def expression(tell: Callable[[Entry], Entry]) -> str:
    jobs = Tabur("memory")
    tell(jobs.schedule.call(nothing))
    return alone(jobs).definition.timing.expression


@pytest.fixture
def jobs() -> Tabur:
    return Tabur("memory")


# how often


@pytest.mark.parametrize(
    ("tell", "expected"),
    [
        (lambda e: e.every_second(), "every second"),
        (lambda e: e.every_two_seconds(), "every 2 seconds"),
        (lambda e: e.every_five_seconds(), "every 5 seconds"),
        (lambda e: e.every_ten_seconds(), "every 10 seconds"),
        (lambda e: e.every_fifteen_seconds(), "every 15 seconds"),
        (lambda e: e.every_twenty_seconds(), "every 20 seconds"),
        (lambda e: e.every_thirty_seconds(), "every 30 seconds"),
        (lambda e: e.every_minute(), "* * * * *"),
        (lambda e: e.every_two_minutes(), "*/2 * * * *"),
        (lambda e: e.every_three_minutes(), "*/3 * * * *"),
        (lambda e: e.every_four_minutes(), "*/4 * * * *"),
        (lambda e: e.every_five_minutes(), "*/5 * * * *"),
        (lambda e: e.every_ten_minutes(), "*/10 * * * *"),
        (lambda e: e.every_fifteen_minutes(), "*/15 * * * *"),
        (lambda e: e.every_thirty_minutes(), "*/30 * * * *"),
        (lambda e: e.hourly(), "0 * * * *"),
        (lambda e: e.hourly_at(17), "17 * * * *"),
        (lambda e: e.hourly_at([15, 45]), "15,45 * * * *"),
        (lambda e: e.every_odd_hour(), "0 1-23/2 * * *"),
        (lambda e: e.every_two_hours(), "0 */2 * * *"),
        (lambda e: e.every_three_hours(5), "5 */3 * * *"),
        (lambda e: e.every_four_hours(), "0 */4 * * *"),
        (lambda e: e.every_six_hours(), "0 */6 * * *"),
        (lambda e: e.daily(), "0 0 * * *"),
        (lambda e: e.daily_at("13:05"), "5 13 * * *"),
        (lambda e: e.at("2"), "0 2 * * *"),
        (lambda e: e.twice_daily(), "0 1,13 * * *"),
        (lambda e: e.twice_daily_at(1, 13, 15), "15 1,13 * * *"),
        (lambda e: e.weekly(), "0 0 * * 0"),
        (lambda e: e.weekly_on([1, 3], "8:00"), "0 8 * * 1,3"),
        (lambda e: e.daily_at("8:00").weekdays(), "0 8 * * 1-5"),
        (lambda e: e.weekends().at("8:00"), "0 8 * * 6,0"),
        (lambda e: e.sundays(), "* * * * 0"),
        (lambda e: e.mondays().hourly(), "0 * * * 1"),
        (lambda e: e.tuesdays(), "* * * * 2"),
        (lambda e: e.wednesdays(), "* * * * 3"),
        (lambda e: e.thursdays(), "* * * * 4"),
        (lambda e: e.fridays(), "* * * * 5"),
        (lambda e: e.saturdays(), "* * * * 6"),
        (lambda e: e.monthly(), "0 0 1 * *"),
        (lambda e: e.monthly_on(4, "15:00"), "0 15 4 * *"),
        (lambda e: e.twice_monthly(1, 16, "13:00"), "0 13 1,16 * *"),
        (lambda e: e.last_day_of_month("15:00"), "0 15 L * *"),
        (lambda e: e.quarterly(), "0 0 1 1,4,7,10 *"),
        (lambda e: e.quarterly_on(4, "14:00"), "0 14 4 1,4,7,10 *"),
        (lambda e: e.yearly(), "0 0 1 1 *"),
        (lambda e: e.yearly_on(6, 1, "17:00"), "0 17 1 6 *"),
        (lambda e: e.cron("7 3 * * 2"), "7 3 * * 2"),
        (lambda e: e.every_ten_seconds().weekdays(), "every 10 seconds * * * * 1-5"),
    ],
)
def test_frequencies(tell: Callable[[Entry], Entry], expected: str) -> None:
    assert expression(tell) == expected


@pytest.mark.parametrize(
    ("tell", "says"),
    [
        (lambda e: e.hourly_at(60), "minute '60' is not understood"),
        (lambda e: e.hourly_at([]), "a list of numbers is needed"),
        (lambda e: e.daily_at("25:00"), "no time of a day"),
        (lambda e: e.daily_at("8:5"), "no time of a day"),
        (lambda e: e.daily_at(8), "no time of a day"),
        (lambda e: e.every_seconds(7), "does not fill a minute evenly"),
        (lambda e: e.days(9), "day of week '9'"),
        (lambda e: e.yearly_on(2, 30), "there is no such date"),
        (lambda e: e.timezone("Mars/Base"), "is not known"),
        (lambda e: e.between("x", "9:00"), "no time of a day"),
        (lambda e: e.missed("never"), "there are: skip, last, all"),
        (lambda e: e.missed("all", limit=0), "from 1 to 1,000"),
        (lambda e: e.overlap("maybe"), "there are: allow, skip, wait"),
        (lambda e: e.grace(0), "seconds above 0"),
        (lambda e: e.grace("1 h"), "seconds above 0"),
        (lambda e: e.timeout(-1), "seconds above 0"),
        (lambda e: e.name(""), "printable characters"),
        (lambda e: e.name("x" * 181), "1 to 180"),
        (lambda e: e.when("yes"), "a condition is a function"),
        (lambda e: e.before(5), "a callback is a function"),
        (lambda e: e.ping_before("ftp://x"), "write https://"),
        (lambda e: e.email_output_to("nobody"), "no address of mail"),
        (lambda e: e.set(often=True), "often is not known"),
        (lambda e: e.on_queue(""), "printable characters"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is_said(
    jobs: Tabur, tell: Callable[[Entry], Entry], says: str
) -> None:
    entry = jobs.schedule.call(nothing).daily()
    with pytest.raises(ConfigError, match=says):
        tell(entry)


# what runs


def test_as_a_decorator_over_a_job(jobs: Tabur) -> None:
    @jobs.schedule.cron("*/5 * * * *", timezone="Asia/Baghdad", without_overlapping=True)
    @jobs.job(queue="mail")
    def remind(ctx: JobContext, days: int = 3) -> int:
        return days

    assert remind(days=1).run() == 1  # still the job that it was
    declared = alone(jobs)
    assert declared.name == "remind"
    assert declared.definition.job.name == "remind"
    assert declared.definition.timing.timezone == "Asia/Baghdad"
    assert declared.definition.policy == TickPolicy(overlap=Overlap.SKIP)
    assert declared.job is None


def test_as_a_decorator_over_a_function_and_a_class(jobs: Tabur) -> None:
    @jobs.schedule.daily_at("2:00")
    def clean() -> str:
        return "clean"

    @jobs.schedule.hourly()
    @jobs.register
    class Sync(Job[None]):
        table: str = "products"

        def handle(self, ctx: JobContext) -> None: ...

    assert clean() == "clean"
    assert Sync().table == "products"
    assert list(jobs.schedule.declared()) == ["clean", "Sync"]
    assert jobs.registry.get("schedule:clean").name == "schedule:clean"


def test_jobs_with_arguments(jobs: Tabur) -> None:
    @jobs.job()
    def sync(table: str, limit: int = 10) -> None: ...

    jobs.schedule.job(sync("products")).every_minute()
    jobs.schedule.job(sync("orders").options(queue="slow", tries=3)).daily().name("orders")
    first, second = jobs.schedule.declared().values()
    assert first.name == "sync(table='products', limit=10)"
    assert msgspec.json.decode(first.definition.job.arguments) == {"table": "products"}
    assert (second.definition.job.queue, second.definition.job.tries) == ("slow", 3)


def test_a_job_that_needs_arguments(jobs: Tabur) -> None:
    @jobs.job()
    def sync(table: str) -> None: ...

    with pytest.raises(PayloadError, match="table"):
        jobs.schedule.job(sync)


def test_options_of_one_dispatch_cannot_be_of_each(jobs: Tabur) -> None:
    @jobs.job()
    def sync() -> None: ...

    jobs.schedule.job(sync().options(delay=60)).daily()
    with pytest.raises(ConfigError, match="delay cannot be set"):
        jobs.schedule.declared()


def test_a_call_with_arguments(jobs: Tabur) -> None:
    def add(one: int, two: int = 2) -> int:
        return one + two

    jobs.schedule.call(add, 3, two=4).daily().on_queue("sums").timeout(timedelta(minutes=1))
    declared = alone(jobs)
    assert declared.definition.runs == "add()"
    assert jobs.maker(None).pending(declared.definition.job).run() == 7
    assert declared.job is not None
    assert declared.job.options.queue == "sums"
    assert declared.job.isolation is Isolation.PROCESS


def test_commands_have_a_process_and_an_hour(jobs: Tabur) -> None:
    jobs.schedule.command("queue:prune-failed", ["--hours", 48, "a b"]).daily()
    jobs.schedule.exec("tar czf backup.tgz data | cat").weekly().name("backup")
    command, backup = jobs.schedule.declared().values()
    assert command.name == "queue:prune-failed --hours 48 'a b'"
    assert backup.definition.runs == "tar czf backup.tgz data | cat"
    for each in (command, backup):
        assert each.job is not None
        assert each.job.isolation is Isolation.PROCESS
        assert each.job.options.timeout == 3600


@pytest.mark.parametrize(
    ("declare", "says"),
    [
        (lambda s: s.command(""), "begins with the name of a command"),
        (lambda s: s.command("--help"), "begins with the name of a command"),
        (lambda s: s.command("a 'b"), "quotation"),
        (lambda s: s.command(None), "command"),
        (lambda s: s.exec("  "), "a line for the shell"),
        (lambda s: s.exec("a\0b"), "a line for the shell"),
        (lambda s: s.call(5), "a function is needed"),
        (lambda s: s.job(nothing), "a job is needed"),
        (lambda s: s.job("nothing"), "a job is needed"),
        (lambda s: s.daily()(5), "a function is needed"),
    ],
)
def test_what_cannot_run(jobs: Tabur, declare: Callable[[Any], Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        declare(jobs.schedule)


def test_two_of_one_name_are_told(jobs: Tabur) -> None:
    jobs.schedule.call(nothing).daily()
    jobs.schedule.call(nothing).hourly()
    with pytest.raises(ConfigError, match="Two schedules are called 'nothing'"):
        jobs.schedule.declared()


def test_what_is_missing_is_told(jobs: Tabur) -> None:
    jobs.schedule.call(nothing)
    with pytest.raises(ConfigError, match="'nothing' is never due"):
        jobs.schedule.declared()


def test_a_lambda_and_a_long_line_need_a_name(jobs: Tabur) -> None:
    entry = jobs.schedule.call(lambda: None).daily()
    with pytest.raises(ConfigError, match="lambda needs a name"):
        jobs.schedule.declared()
    entry.name("named")
    assert list(jobs.schedule.declared()) == ["named"]
    jobs.schedule.exec("echo " + "x" * 200).daily()
    with pytest.raises(ConfigError, match="too long for a name"):
        jobs.schedule.declared()


def test_output_is_what_a_command_has(jobs: Tabur) -> None:
    jobs.schedule.call(nothing).daily().send_output_to("out.txt")
    with pytest.raises(ConfigError, match="a function has none to send"):
        jobs.schedule.declared()


def test_an_entry_runs_one_thing(jobs: Tabur) -> None:
    entry = jobs.schedule.call(nothing).daily()
    with pytest.raises(ConfigError, match="something to run already"):
        entry(nothing)


# groups and the rest


def test_a_group_hands_on_what_it_was_told(jobs: Tabur) -> None:
    with jobs.schedule.group(timezone="Asia/Baghdad", environments=["production"], missed="all"):
        jobs.schedule.call(nothing).daily()
        with jobs.schedule.hourly().without_overlapping().group():
            jobs.schedule.call(nothing).name("inner")
    jobs.schedule.call(nothing).daily().name("outside")
    outer, inner, outside = jobs.schedule.declared().values()
    assert outer.definition.timing.timezone == "Asia/Baghdad"
    assert outer.environments == ("production",)
    assert inner.definition.timing.expression == "0 * * * *"
    assert inner.definition.policy == TickPolicy(missed=Missed.ALL, overlap=Overlap.SKIP)
    assert outside.definition.timing.timezone == "UTC"
    assert outside.environments == ()


def test_what_is_accepted_without_effect(jobs: Tabur) -> None:
    entry = jobs.schedule.call(nothing).daily()
    assert entry.on_one_server().run_in_background().without_overlapping(10) is entry


def test_windows_and_conditions(jobs: Tabur) -> None:
    entry = jobs.schedule.call(nothing).every_minute()
    entry.between("8:00", "17:00").unless_between("23:00", "4:00").when(lambda: True).skip(False)
    declared = alone(jobs)
    assert declared.definition.windows == (
        Window(480, 1020),
        Window(1380, 240, inside=False),
    )
    assert declared.definition.conditional
    assert declared.refuses() is None


def test_conditions_tell_why(jobs: Tabur) -> None:
    def enabled() -> bool:
        return False

    def broken() -> bool:
        raise OSError("no settings")

    async def late() -> bool:
        return True

    told: dict[str, Callable[[Entry], Entry]] = {
        "its condition enabled is not met": lambda e: e.when(enabled),
        "its condition True is met": lambda e: e.skip(True),
        "its condition broken raised OSError: no settings": lambda e: e.skip(broken),
    }
    for name, tell in told.items():
        fresh = Tabur("memory")
        tell(fresh.schedule.call(nothing).daily())
        assert alone(fresh).refuses() == name
    with pytest.raises(ConfigError, match="not async"):
        jobs.schedule.call(nothing).when(late)


def test_the_zone_of_the_settings_is_that_of_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_TIMEZONE", "Asia/Baghdad")
    jobs = Tabur.from_env(None)
    jobs.schedule.call(nothing).daily()
    assert alone(jobs).definition.timing.timezone == "Asia/Baghdad"
