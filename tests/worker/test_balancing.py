"""What is seen in a store becomes a number of processes: one look after another, on a clock of its
own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tabur.drivers.memory.driver import MemoryDriver
from tabur.errors import StoreUnavailable
from tabur.model.ids import new_id
from tabur.model.records import ALL_QUEUES, NewJob, WorkerRecord
from tabur.model.scaling import Limits
from tabur.model.states import Isolation
from tabur.worker.balancing.balancing import LOOK_AT_QUEUES, Balancing, Lookout, Manned
from tabur.worker.balancing.flow import Meter
from tabur.worker.options import Balance


class Watch:
    """A store with two queues, who looks at it, and how many processes each has."""

    def __init__(self, **options: Any) -> None:
        self.now = 100.0
        self.driver = MemoryDriver()
        self.said: list[str] = []
        limits = {"mail": Limits(1, 8), "sms": Limits(1, 8)}
        self.lookout = Lookout(self.driver, limits, supervisor="ours", clock=lambda: self.now)
        self.balancing = Balancing(
            self.lookout,
            Balance(limits, total=10, **options),
            slots={"mail": 10, "sms": 10},
            say=self.said.append,
        )
        self.meters = {"mail": Meter(), "sms": Meter()}
        self.processes = {"mail": 1, "sms": 1}

    def put(self, queue: str, count: int) -> None:
        self.driver.dispatching.dispatch(
            [
                NewJob(new_id(), "job", queue, Isolation.THREAD, b"{}", created_at=1)
                for _ in range(count)
            ]
        )

    def work(self, queue: str, jobs: int, *, each: float) -> None:
        meter = self.meters[queue]
        self.meters[queue] = Meter(
            meter.started + jobs, meter.ended + jobs, meter.busy + jobs * each
        )

    def look(self, *, paused: tuple[str, ...] = ()) -> dict[str, int]:
        self.now += LOOK_AT_QUEUES
        self.lookout.look()
        return self.decide(paused=paused)

    def decide(self, *, paused: tuple[str, ...] = ()) -> dict[str, int]:
        manned = {
            queue: Manned(count, {f"w-{queue}": self.meters[queue]})
            for queue, count in self.processes.items()
        }
        changes = self.balancing.decide(manned, ending=0, paused=paused)
        self.processes |= changes
        return dict(changes)


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.driver.close()


def test_a_backlog_brings_its_queue_more_and_says_so(watch: Watch) -> None:
    watch.look()
    watch.put("mail", 1_200)
    watch.work("mail", 50, each=2.0)
    assert watch.look() == {"mail": 4}
    assert watch.said == [
        "mail: 1 → 4 processes: 1,200 waiting, none arriving, 2.0 s each; at most 60 s wanted"
    ]


def test_what_arrives_counts_besides_what_waits(watch: Watch) -> None:
    for _ in range(10):
        watch.work("mail", 80, each=1.0)
        watch.look()
    assert watch.processes["mail"] == 4
    assert watch.balancing.levels[0].arrivals == pytest.approx(40)
    assert "0 waiting, 40/s arriving, 1.0 s each" in watch.said[-1]


def test_without_a_new_look_nothing_is_decided(watch: Watch) -> None:
    watch.put("mail", 1_200)
    assert watch.decide() == {}
    watch.lookout.look()
    assert watch.decide() == {"mail": 2}
    watch.processes["mail"] = 1
    assert watch.decide() == {}


def test_a_paused_queue_gets_no_more(watch: Watch) -> None:
    watch.put("mail", 5_000)
    watch.put("sms", 5_000)
    assert watch.look(paused=("mail",)) == {"sms": 8}
    watch.processes["sms"] = 1
    assert watch.look(paused=(ALL_QUEUES,)) == {}
    assert "mail" in watch.look()


def test_it_counts_no_further_than_could_matter(watch: Watch) -> None:
    watch.put("mail", 20_000)
    watch.work("mail", 10, each=60.0)
    watch.look()
    watch.look()
    assert watch.lookout.at_most == {"mail": 1_000, "sms": 9 * 10 * 60}
    watch.look()
    assert watch.lookout.seen is not None
    assert watch.lookout.seen.pending["mail"] == 1_000
    assert not watch.lookout.seen.counted["mail"]
    assert watch.processes["mail"] == 8


def test_other_supervisors_of_a_queue_share_its_backlog(watch: Watch) -> None:
    for n, supervisor in enumerate(("ours", "theirs", "theirs", "a third")):
        watch.driver.workers.register(
            WorkerRecord(f"w{n}", "host", n, 0, queues=("mail",), supervisor=supervisor)
        )
    watch.put("mail", 1_800)
    watch.put("sms", 1_800)
    assert watch.look() == {"sms": 3}
    assert [level.shared_by for level in watch.balancing.levels] == [3, 1]


def test_a_look_that_takes_long_is_taken_seldom(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = watch.driver.inspection.backlog

    def slowly(queue: str, *, at_most: int) -> Any:
        watch.now += 0.5
        return backlog(queue, at_most=at_most)

    assert watch.lookout.look() == LOOK_AT_QUEUES
    monkeypatch.setattr(watch.driver.inspection, "backlog", slowly)
    assert watch.lookout.look() == pytest.approx(19.0)


def test_while_the_store_does_not_answer_all_stays_as_it_is(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.put("mail", 1_200)
    watch.look()

    def unreachable(queue: str, *, at_most: int) -> Any:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(watch.driver.inspection, "backlog", unreachable)
    watch.now += 60
    with pytest.raises(StoreUnavailable):
        watch.lookout.look()
    assert watch.decide() == {}
