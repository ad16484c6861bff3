"""The rules as pure functions: which readings they object to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.alerts.readings import Disk, Ends, Line, Reading, Running
from tabur.alerts.rules import (
    RULES,
    Backlog,
    BacklogAge,
    DeadScheduler,
    DiskFull,
    FailureRate,
    NoWorker,
    Rule,
    StuckJob,
    evaluate,
)
from tabur.model.clock import SECOND

NOW = 1_750_000_000 * SECOND
counts = st.integers(0, 10_000)
queues = st.sampled_from(["mail", "files", "default", "", "with space / slash"])


@st.composite
def lines(draw: st.DrawFn) -> tuple[Line, ...]:
    """One for each queue; the oldest is there where something is pending."""
    names = draw(st.lists(queues, unique=True))
    made = []
    for name in names:
        pending = draw(counts)
        age = draw(st.integers(0, 100_000))
        oldest = NOW - age * SECOND if pending else None
        made.append(Line(name, pending, oldest, draw(st.integers(0, 3)), draw(st.booleans())))
    return tuple(made)


def found(rule: Rule | list[Rule], **given: Any) -> list[str]:
    rules = rule if isinstance(rule, list) else [rule]
    reading = Reading(scope="database", now=NOW, **given)
    return [each.subject for each in evaluate(rules, reading)]


@given(lines(), st.integers(1, 10_000))
def test_backlog(lines: tuple[Line, ...], most: int) -> None:
    expected = [line.queue for line in lines if line.pending > most]
    assert found(Backlog(max=most), lines=lines) == expected


@given(lines(), st.integers(1, 100_000))
def test_backlog_age(lines: tuple[Line, ...], most: int) -> None:
    expected = [
        line.queue
        for line in lines
        if line.oldest is not None and NOW - line.oldest > most * SECOND
    ]
    assert found(BacklogAge(max=most), lines=lines) == expected


@given(lines())
def test_no_worker(lines: tuple[Line, ...]) -> None:
    expected = [
        line.queue for line in lines if line.pending and not line.workers and not line.paused
    ]
    assert found(NoWorker(), lines=lines) == expected


@given(lines(), st.integers(1, 10_000), st.integers(1, 10_000), queues)
def test_the_rule_of_one_queue_stands_in_for_that_of_all(
    lines: tuple[Line, ...], most: int, own: int, queue: str
) -> None:
    rules: list[Rule] = [Backlog(max=most), Backlog(max=own, queue=queue)]
    expected = {
        line.queue for line in lines if line.pending > (own if line.queue == queue else most)
    }
    assert set(found(rules, lines=lines)) == expected
    assert set(found(rules[::-1], lines=lines)) == expected


@given(counts, counts, st.floats(0.1, 99.9), st.integers(1, 100))
def test_failure_rate(failed: int, completed: int, percent: float, least: int) -> None:
    rule = FailureRate(percent=percent, min=least)
    objects = found(rule, ends={rule.asks: Ends(300, failed, completed)}) == [""]
    enough = failed >= least and failed * 100 >= percent * (failed + completed)
    near = abs(failed * 100 - percent * (failed + completed)) < 1e-6
    assert objects == enough or near


def test_failure_rates_ask_for_what_is_theirs() -> None:
    everything, mail = FailureRate(min=1), FailureRate(min=1, queue="mail", job="send")
    ends = {everything.asks: Ends(300, 0, 9), mail.asks: Ends(300, 9, 0)}
    assert found([everything, mail], ends=ends) == ["mail send"]
    assert found(everything) == []


@given(st.integers(0, 10_000), st.one_of(st.none(), st.floats(1, 1_000)), st.floats(1, 10))
def test_stuck_job(seconds: int, timeout: float | None, times: float) -> None:
    running = (Running("id", "send", "mail", NOW - seconds * SECOND, timeout),)
    expected = ["mail"] if timeout is not None and seconds > timeout * times else []
    assert found(StuckJob(times=times), running=running) == expected
    most = StuckJob(times=times, max=60)
    assert found(most, running=running) == (["mail"] if seconds > 60 or expected else [])


def test_stuck_jobs_of_a_queue_are_one_alert_that_names_the_longest() -> None:
    since = [NOW - seconds * SECOND for seconds in (500, 900, 700, 10)]
    running = tuple(Running(f"id{n}", "send", "mail", at, 60) for n, at in enumerate(since))
    (finding,) = evaluate([StuckJob()], Reading("database", NOW, running=running))
    assert (finding.values["count"], finding.values["job_id"]) == (3, "id1")


@given(st.integers(1, 1_000), st.integers(0, 2_000))
def test_dead_scheduler(most: int, silent: int) -> None:
    rule, seen = DeadScheduler(max=most), NOW - silent * SECOND
    expected = [""] if silent > most else []
    assert found(rule, schedules=True, scheduler_seen=seen) == expected
    assert found(rule, schedules=False, scheduler_seen=seen) == []
    assert found(rule, schedules=True) == [""]


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.floats(1, 99))
def test_disk(free: int, used: int, percent: float) -> None:
    disks = (Disk("/srv", free, free + used),)
    objects = bool(found(DiskFull(percent=percent), disks=disks))
    full = 100.0 if free + used == 0 else 100 * used / (free + used)
    assert objects == (full >= percent)
    assert not found(DiskFull(percent=percent, free=max(1, free)), disks=disks) or free == 0


@pytest.mark.parametrize("name", RULES)
def test_an_empty_reading_is_fine(name: str) -> None:
    assert found(RULES[name]()) == []
