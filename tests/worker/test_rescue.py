"""Lost workers are told by a counter that stands still, never by a clock they share."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tabur.drivers.contract import Exchange
from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.ids import new_id, new_token
from tabur.model.records import NewJob, WorkerRecord
from tabur.model.states import Isolation
from tabur.worker.supervision.rescue import Lost, Observations

LOST_AFTER = 30.0
BEAT = 5.0


class Scene:
    """One observer with a clock of its own, and a worker on another host."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.driver = MemoryDriver()
        self.driver.workers.register(WorkerRecord("other", "elsewhere", 7, started_at=0))
        self.observed = Observations(self.driver, lost_after=LOST_AFTER, clock=lambda: self.now)

    def look(self, *, after: float, beat: bool = False) -> list[str]:
        self.now += after
        if beat:
            self.driver.workers.beat(["other"])
        return [each.worker for each in self.observed.lost(except_for=["me"])]


def test_a_worker_that_beats_is_never_lost() -> None:
    scene = Scene()
    assert not any(scene.look(after=25, beat=True) for _ in range(10))


def test_a_worker_that_stands_still_is_lost_after_its_time() -> None:
    scene = Scene()
    looks = [scene.look(after=5) for _ in range(1 + int(LOST_AFTER / 5))]
    assert looks[-1] == ["other"]
    assert not any(looks[:-1])


@pytest.mark.parametrize("before", [1, 4])
def test_what_stood_still_while_the_observer_slept_proves_nothing(before: int) -> None:
    """Whatever let it sleep may have let the other sleep too, who beats a little later than it
    looks. However long it had watched before: what is missing must be watched from here on."""
    scene = Scene()
    for _ in range(before):
        scene.look(after=BEAT)
    assert scene.look(after=3600) == []
    assert scene.look(after=BEAT / 10) == []
    assert scene.look(after=BEAT / 10, beat=True) == []
    looks = [scene.look(after=BEAT) for _ in range(int(LOST_AFTER / BEAT))]
    assert not any(looks[:-1])
    assert looks[-1] == ["other"]


def test_a_store_that_stood_still_for_an_answer_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The observer's beat may have been taken just before it looks again; the other's comes a
    little later."""
    scene = Scene()
    for _ in range(3):
        scene.look(after=BEAT)
    list_workers = scene.driver.workers.list

    def stalled() -> Sequence[WorkerRecord]:
        found = list_workers()
        scene.now += 60
        return found

    with monkeypatch.context() as still:
        still.setattr(scene.driver.workers, "list", stalled)
        assert scene.look(after=BEAT) == []
    assert scene.look(after=BEAT) == []


def test_a_worker_is_found_lost_beside_a_slow_store(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    list_workers = scene.driver.workers.list

    def slowly() -> Sequence[WorkerRecord]:
        scene.now += 3 * BEAT
        return list_workers()

    monkeypatch.setattr(scene.driver.workers, "list", slowly)
    found = [scene.look(after=BEAT) for _ in range(8)]
    assert ["other"] in found


def test_what_stood_still_while_the_store_was_away_proves_nothing() -> None:
    scene = Scene()
    for _ in range(4):
        scene.look(after=BEAT)
    assert scene.look(after=60) == []
    assert scene.look(after=BEAT, beat=True) == []


def test_a_beat_starts_the_time_anew() -> None:
    scene = Scene()
    for _ in range(5):
        scene.look(after=5)
    assert scene.look(after=20, beat=True) == []
    assert scene.look(after=LOST_AFTER - 1) == []


def test_its_own_children_are_not_its_business() -> None:
    scene = Scene()
    scene.driver.workers.register(WorkerRecord("me", "here", 8, started_at=0))
    for _ in range(20):
        assert "me" not in scene.look(after=10)


def test_claims_of_a_worker_that_nobody_knows_are_found_too() -> None:
    """Who was found lost while it slept, went on, and died."""
    scene = Scene()
    driver = scene.driver
    driver.workers.remove("other")
    job = NewJob(new_id(), "send", "mail", Isolation.THREAD, b"{}", created_at=0)
    driver.dispatching.dispatch([job])
    turn = Exchange("other", token=new_token(), queues=("mail",), slots={Isolation.THREAD: 1})
    assert driver.claiming.exchange(turn).claimed
    found = [scene.look(after=5) for _ in range(20)]
    assert ["other"] in found
    assert found.index(["other"]) >= LOST_AFTER / 5


def test_it_tells_at_which_beat_a_worker_stood_still() -> None:
    scene = Scene()
    scene.look(after=5, beat=True)
    looks = []
    for _ in range(7):
        scene.now += 5
        looks.append(scene.observed.lost(except_for=[]))
    assert looks[-1] == [Lost("other", 1)]
    scene.driver.workers.beat(["other"])
    assert not scene.driver.workers.remove("other", beats=1), "it has just beaten"
    assert scene.driver.workers.remove("other", beats=2)


def test_a_counter_is_no_older_than_the_answer_that_tells_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow answer may tell of a beat that was made long after the question."""
    scene = Scene()
    list_workers = scene.driver.workers.list

    def slowly() -> Sequence[WorkerRecord]:
        scene.now += 8
        scene.driver.workers.beat(["other"])
        return list_workers()

    with monkeypatch.context() as slow:
        slow.setattr(scene.driver.workers, "list", slowly)
        assert scene.look(after=5) == []
    looks = [scene.look(after=5) for _ in range(int(LOST_AFTER / 5))]
    assert not any(looks[:-1])
    assert looks[-1] == ["other"]
