"""Schedules that are made, edited, paused and deleted at run time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tabur import FunctionJob, Job, JobContext, PayloadError, UnknownJob
from tabur.errors import ConfigError, ScheduleConflict, ScheduleNotFound
from tabur.model.clock import SECOND
from tabur.model.ids import id_bytes
from tabur.model.schedules import Origin
from tabur.model.ticks import Missed, Overlap
from tests.scheduler.bench import MONDAY, Bench, nothing

AT = datetime.fromtimestamp(MONDAY // SECOND, UTC)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def sync(bench: Bench) -> FunctionJob[[str, int], None]:
    @bench.jobs.job(queue="sync")
    def sync(table: str, limit: int = 10) -> None: ...

    return sync


def test_made_and_found(bench: Bench, sync: Any) -> None:
    made = bench.jobs.schedules.create(
        name="Sync of shop 7",
        cron="*/5 * * * *",
        timezone="Asia/Baghdad",
        job=sync(table="products"),
        missed="all",
        missed_limit=3,
        overlap="skip",
    )
    assert made == bench.jobs.schedules.find("Sync of shop 7")
    assert (made.cron_expression, made.timezone) == ("*/5 * * * *", "Asia/Baghdad")
    assert made.next_run_at == AT + timedelta(minutes=5)
    assert (made.last_run_at, made.is_active, made.origin) == (None, True, Origin.TABLE)
    assert (made.job, made.arguments) == ("sync", {"table": "products"})
    assert (made.policy.missed, made.policy.missed_limit) == (Missed.ALL, 3)
    assert made.policy.overlap is Overlap.SKIP
    assert made.in_words() == "every 5 minutes (Asia/Baghdad)"
    assert made.in_words("ar") == "كل 5 دقائق (Asia/Baghdad)"
    assert made.upcoming(3) == [AT + timedelta(minutes=n) for n in (5, 10, 15)]
    assert [each.name for each in bench.jobs.schedules.list()] == ["Sync of shop 7"]


def test_it_runs_with_its_queue_and_arguments(bench: Bench, sync: Any) -> None:
    pending = sync("orders").options(priority=7, tenant="shop 7")
    bench.jobs.schedules.create(name="it", cron="* * * * *", job=pending)
    bench.watch(bench.ticker(), 60)
    (job,) = bench.dispatched()
    assert (job.name, job.queue, job.priority, job.tenant) == ("sync", "sync", 7, "shop 7")
    found = bench.jobs.schedules.find("it")
    assert found.last_run_at == AT + timedelta(minutes=1)
    (tick,) = bench.jobs.schedules.history("it")
    assert (tick.decision, tick.due_at) == ("dispatched", AT + timedelta(minutes=1))
    assert tick.job_id == found.last_job
    assert id_bytes(tick.job_id or "") == job.id


def test_by_a_jobs_name_as_a_form_gives_it(bench: Bench, sync: Any) -> None:
    made = bench.jobs.schedules.create(
        name="it", cron="@daily", job="sync", arguments={"table": "x", "limit": 3}
    )
    assert made.arguments == {"table": "x", "limit": 3}


def test_a_class(bench: Bench) -> None:
    @bench.jobs.register
    class Report(Job[None]):
        month: int = 1

        def handle(self, ctx: JobContext) -> None: ...

    bench.jobs.schedules.create(name="a", cron="@daily", job=Report)
    made = bench.jobs.schedules.create(name="b", cron="@daily", job=Report(month=3))
    assert made.arguments == {"month": 3}


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"cron": "61 * * * *"}, ConfigError, "minute '61'"),
        ({"cron": "0 0 30 2 *"}, ConfigError, "no such date"),
        ({"timezone": "Asia/Bagdad"}, ConfigError, "Did you mean Asia/Baghdad"),
        ({"name": ""}, ConfigError, "printable characters"),
        ({"name": "x" * 181}, ConfigError, "1 to 180"),
        ({"name": "a\nb"}, ConfigError, "printable characters"),
        ({"job": "synk"}, UnknownJob, "No job is called 'synk'"),
        ({"job": "schedule:nightly"}, ConfigError, "belongs to a schedule of the code"),
        ({"job": nothing}, ConfigError, "a job is needed"),
        ({"arguments": {"tabel": "x"}}, PayloadError, "tabel"),
        ({"arguments": {}}, PayloadError, "table"),
        ({"arguments": {"table": 5}}, PayloadError, "table"),
        ({"missed": "some"}, ConfigError, "skip, last, all"),
        ({"missed_limit": 10**6}, ConfigError, "from 1 to 1,000"),
        ({"overlap": "wait a little"}, ConfigError, "allow, skip, wait"),
        ({"grace": -1}, ConfigError, "above 0"),
        ({"grace": float("nan")}, ConfigError, "above 0"),
        ({"grace": float("inf")}, ConfigError, "above 0"),
        ({"often": True}, ConfigError, "often is not known"),
    ],
)
def test_what_cannot_be_is_refused(
    bench: Bench, sync: Any, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    bench.jobs.schedule.call(nothing).name("nightly").daily()
    good = {"name": "it", "cron": "@daily", "job": "sync", "arguments": {"table": "x"}}
    with pytest.raises(error, match=says):
        bench.jobs.schedules.create(**(good | given))
    assert list(bench.jobs.schedules.list()) == []


def test_a_name_is_taken_once(bench: Bench, sync: Any) -> None:
    bench.jobs.schedules.create(name="it", cron="@daily", job=sync("x"))
    with pytest.raises(ScheduleConflict, match="exists already"):
        bench.jobs.schedules.create(name="it", cron="@hourly", job=sync("x"))
    assert bench.jobs.schedules.find("it").cron_expression == "0 0 * * *"


def test_edited(bench: Bench, sync: Any) -> None:
    schedules = bench.jobs.schedules
    schedules.create(name="it", cron="@hourly", job=sync("x"))
    calmer = schedules.edit("it", overlap="skip", arguments={"table": "y"})
    assert calmer.next_run_at == AT + timedelta(hours=1)
    assert calmer.arguments == {"table": "y"}
    moved = schedules.edit("it", cron="30 * * * *")
    assert moved.next_run_at == AT + timedelta(minutes=30)
    assert moved.policy.overlap is Overlap.SKIP
    assert schedules.edit("it", timezone="Asia/Kathmandu").timezone == "Asia/Kathmandu"
    other = schedules.edit("it", job=sync("z", limit=1), grace=30)
    assert (other.arguments, other.policy.grace) == ({"table": "z", "limit": 1}, 30)
    assert schedules.edit("it", is_active=False).upcoming(3) == []


def test_an_edit_that_cannot_be_changes_nothing(bench: Bench, sync: Any) -> None:
    schedules = bench.jobs.schedules
    before = schedules.create(name="it", cron="@hourly", job=sync("x"))
    changes: list[dict[str, Any]] = [
        *({"cron": "nonsense"}, {"job": "other"}, {"name": "that"}, {"arguments": {}})
    ]
    for change in changes:
        with pytest.raises((ConfigError, UnknownJob, PayloadError)):
            schedules.edit("it", **change)
    assert schedules.find("it") == before


def test_one_of_the_code_is_changed_in_the_code(bench: Bench) -> None:
    bench.jobs.schedule.call(nothing).name("it").hourly()
    bench.begun()
    with pytest.raises(ConfigError, match="declared in the application's code"):
        bench.jobs.schedules.edit("it", cron="@daily")
    assert not bench.jobs.schedules.pause("it").is_active


def test_paused_and_resumed(bench: Bench, sync: Any) -> None:
    schedules = bench.jobs.schedules
    schedules.create(name="it", cron="* * * * *", job=sync("x"))
    ticker = bench.ticker()
    bench.watch(ticker, 60)
    assert not schedules.pause("it").is_active
    assert schedules.pause("it") == schedules.find("it")
    bench.watch(ticker, 300)
    resumed = schedules.resume("it")
    assert resumed.next_run_at == AT + timedelta(minutes=7)
    assert schedules.resume("it") == resumed
    bench.watch(ticker, 60)
    assert bench.became() == [(60, "dispatched"), (420, "dispatched")]  # none was missed


def test_deleted(bench: Bench, sync: Any) -> None:
    schedules = bench.jobs.schedules
    schedules.create(name="it", cron="* * * * *", job=sync("x"))
    bench.watch(bench.ticker(), 60)
    assert schedules.delete("it")
    assert not schedules.delete("it")
    bench.watch(bench.ticker(), 60)
    assert len(schedules.history("it")) == 1
    schedules.create(name="it", cron="* * * * *", job=sync("x"))  # a new one of that name


def test_unknown_ones(bench: Bench, sync: Any) -> None:
    schedules = bench.jobs.schedules
    schedules.create(name="nightly", cron="@daily", job=sync("x"))
    for do in (schedules.find, schedules.pause, schedules.resume, schedules.run, schedules.edit):
        with pytest.raises(ScheduleNotFound, match="Did you mean 'nightly'"):
            do("nigthly")


def test_run_now_beside_its_ticks(bench: Bench, sync: Any) -> None:
    bench.jobs.schedules.create(name="it", cron="@daily", job=sync("x"))
    job_id = bench.jobs.schedules.run("it")
    (job,) = bench.dispatched()
    assert id_bytes(job_id) == job.id
    assert bench.jobs.schedules.history() == []


def test_history_in_pages(bench: Bench, sync: Any) -> None:
    for name in ("a", "b"):
        bench.jobs.schedules.create(name=name, cron="* * * * *", job=sync("x"))
    bench.watch(bench.ticker(), 300)
    whole = bench.jobs.schedules.history()
    assert len(whole) == 10
    first = bench.jobs.schedules.history("a", limit=2)
    rest = bench.jobs.schedules.history("a", limit=9, before=first[-1].due_at)
    assert [*first, *rest] == [tick for tick in whole if tick.schedule == "a"]
    pages = bench.jobs.schedules.history(limit=3)  # ends amid one moment
    while page := bench.jobs.schedules.history(
        limit=3, before=pages[-1].due_at, below=pages[-1].schedule
    ):
        pages = [*pages, *page]
    assert list(pages) == list(whole)


def test_two_who_change_one_at_once(
    bench: Bench, sync: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither change is lost: who comes second reads again."""
    schedules = bench.jobs.schedules
    schedules.create(name="it", cron="@hourly", job=sync("x"))
    put = bench.driver.schedules.put
    meddled: list[int] = []

    def meddling(records: Any, **given: Any) -> int:
        if not meddled:
            meddled.append(1)
            bench.jobs.schedules.edit("it", overlap="wait")
        return put(records, **given)

    monkeypatch.setattr(bench.driver.schedules, "put", meddling)
    edited = schedules.edit("it", cron="@daily")
    assert (edited.cron_expression, edited.policy.overlap) == ("0 0 * * *", Overlap.WAIT)
