"""Each rule fires and is resolved, and a real mail server and a real HTTP server are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from tabur.alerts.rules import RULES
from tabur.model.beats import SchedulerBeat
from tabur.model.schedules import Advance, Decision, Origin, ScheduleRecord, Tick
from tabur.model.states import State
from tabur.testing.conformance.subject import move
from tests.alerts.receivers import SECRET, PostOffice, Receiver
from tests.alerts.shop import Shop, with_every_channel

Mend = Callable[[], Any]


def backlog(shop: Shop) -> Iterator[None]:
    shop.fill(1_001)
    yield
    shop.empty()


def backlog_age(shop: Shop) -> Iterator[None]:
    shop.app.alerts.backlog_age(max=300, after=0)
    shop.fill(1)
    shop.clock.advance(301)
    yield
    shop.empty()


def failure_rate(shop: Shop) -> Iterator[None]:
    for _ in range(27):
        shop.complete()
    for _ in range(3):
        shop.fail()
    shop.app.alerts.failure_rate(percent=10, min=3)
    yield
    shop.clock.advance(300)


def new_error(shop: Shop) -> Iterator[None]:
    shop.look()
    shop.fail("order 7 has no address")
    yield
    shop.clock.advance(3_600)


def no_worker(shop: Shop) -> Iterator[None]:
    shop.fill(1)
    shop.look()
    shop.look()
    yield
    shop.worker(name="w1")
    shop.every_minute.append(lambda: shop.store.driver.workers.beat(["w1"]))


def dead_scheduler(shop: Shop) -> Iterator[None]:
    schedule(shop)
    beat(shop)
    shop.clock.advance(120)
    yield
    shop.every_minute.append(lambda: beat(shop))


def missed_tick(shop: Shop) -> Iterator[None]:
    record = schedule(shop)
    due = record.next_run_at
    assert due is not None
    shop.clock.advance(100)
    tick = Tick("cleanup", due, Decision.MISSED, shop.clock(), "no scheduler ran")
    moved = Advance("cleanup", 1, due, (tick,), due + 60_000_000)
    assert shop.store.driver.schedules.advance([moved]) == [True]
    yield
    shop.clock.advance(3_600)


def stuck_job(shop: Shop) -> Iterator[None]:
    claimed = shop.store.running(queue="mail")
    shop.clock.advance(61)  # and a minute before the look: twice the 60 s that a job may run
    yield
    shop.store.settle(move(claimed, State.COMPLETED, ended_at=shop.clock()))


def disk(shop: Shop) -> Iterator[None]:
    shop.app.alerts.disk(percent=0.000_1)
    yield
    shop.watch().plan = shop.app.alerts.plan()  # by then there is room:
    shop.app.alerts.disk(percent=99.999_9)
    shop.watch().plan = shop.app.alerts.plan()


def schedule(shop: Shop) -> ScheduleRecord:
    record = ScheduleRecord(
        name="cleanup",
        origin=Origin.CODE,
        definition=b"{}",
        cron_expression="* * * * *",
        timezone="UTC",
        next_run_at=shop.clock.ahead(60),
    )
    shop.store.driver.schedules.put([record])
    return record


def beat(shop: Shop) -> None:
    notes = shop.store.driver.notes
    revision = max((note.revision for note in notes.read("scheduler/")), default=0)
    beat = SchedulerBeat("s1", "work", "here", 1, shop.clock(), 10)
    value = msgspec.json.encode(beat)
    assert notes.write("scheduler/s1", value, revision=revision)


@dataclass(frozen=True)
class Case:
    make: Callable[[Shop], Iterator[None]]
    says: str
    """In the title of the news."""
    text: str


CASES = {
    "backlog": Case(
        backlog, "Queue backlog detected: 1,001 jobs wait on queue mail", "queue:monitor mail"
    ),
    "backlog_age": Case(backlog_age, "Jobs wait for 6 min on queue mail", "Jobs that wait: 1"),
    "failure_rate": Case(failure_rate, "10.0 % of the jobs fail", "Failed: 3\nEnded in all: 30"),
    "new_error": Case(
        new_error, "A new kind of error in send: LookupError", "It says: order 7 has no address"
    ),
    "no_worker": Case(
        no_worker, "No worker works queue mail, where jobs wait", "tabur queue:work --queue=mail"
    ),
    "dead_scheduler": Case(dead_scheduler, "No scheduler runs", "tabur schedule:work"),
    "missed_tick": Case(
        missed_tick, "Schedule cleanup has missed its time", "Why: no scheduler ran"
    ),
    "stuck_job": Case(
        stuck_job, "send on queue mail has been running for 2 min", "tabur queue:failed:show"
    ),
    "disk": Case(disk, "The disk of ", "Host: here"),
}


def test_every_rule_is_among_them() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("rule", CASES)
def test_fires_once_and_is_resolved_once(
    rule: str, shop: Shop, post: PostOffice, http: Receiver, tmp_path: Path
) -> None:
    with_every_channel(shop, post, http)
    shop.only(rule)
    case = CASES[rule]
    story = case.make(shop)
    next(story)

    looked = shop.look()
    (alert,) = looked.firing
    assert alert.rule == rule
    assert {name: each.error for name, each in looked.sent.items()} == dict.fromkeys(
        ("email", "webhook", "slack", "apprise")
    )
    for _ in range(5):
        if rule != "failure_rate":  # its window goes by
            assert shop.look(45).sent == {}

    next(story, None)
    shop.look()
    told: list[str] = []
    for _ in range(10):
        told += shop.look().sent
    assert sorted(told) == ["apprise", "email", "slack", "webhook"]
    assert shop.look().alerts == ()

    for titles in (post.mailbox.subjects, slack_titles(http), apprise_titles(http)):
        fired, resolved = titles
        assert fired.startswith(f"[test] {case.says}")
        assert resolved.startswith(f"[test] Resolved: {case.says}")
    assert case.text in post.mailbox.texts()[0].replace("\r\n", "\n")
    assert [mail["To"] for mail in post.mailbox.mails] == [
        "ops@shop.example, owner@shop.example"
    ] * 2

    signed = http.at("/signed")
    for request in signed:
        Webhook(SECRET).verify(request.body, request.headers)
    assert [each.json["type"] for each in signed] == ["alert.fired", "alert.resolved"]
    assert [each.json["data"]["rule"] for each in signed] == [rule] * 2
    assert len({each.headers["webhook-id"] for each in signed}) == 2


def slack_titles(http: Receiver) -> list[str]:
    return [each.json["text"].partition("*\n")[0][1:] for each in http.at("/slack")]


def apprise_titles(http: Receiver) -> list[str]:
    return [each.json["title"] for each in http.at("/apprise")]
