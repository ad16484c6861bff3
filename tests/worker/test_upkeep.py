"""A supervisor's upkeep, round by round, with a clock of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabur.drivers.contract import Exchange
from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ending
from tabur.model.records import NewJob, WorkerRecord
from tabur.model.states import Isolation
from tabur.worker.options import WorkOptions
from tabur.worker.supervision.moments import Moments
from tabur.worker.supervision.upkeep import Registration, Upkeep


class Scene:
    """An observer, and `other`, a worker elsewhere that holds a job."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.said: list[str] = []
        self.driver = MemoryDriver()
        self.upkeep = Upkeep(
            self.driver,
            WorkOptions(),
            alive=list,
            moments=Moments(folder, "here"),
            prune=lambda: None,
            say=self.said.append,
            clock=lambda: self.now,
        )
        self.driver.workers.register(WorkerRecord("other", "elsewhere", 7, started_at=0))
        self.job = NewJob(new_id(), "send", "mail", Isolation.THREAD, b"{}", created_at=0)
        self.driver.dispatching.dispatch([self.job])

    def claim(self) -> None:
        turn = Exchange("other", token=new_token(), queues=("mail",), slots={Isolation.THREAD: 1})
        assert self.driver.claiming.exchange(turn).claimed

    def pass_by(self, seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            self.now += 5
            self.upkeep.beat()
            self.upkeep.mend()

    @property
    def endings(self) -> list[str]:
        return [each.ending for each in self.driver.inspection.attempts(self.job.id)]


def test_what_a_lost_worker_ran_has_crashed(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.claim()
    scene.pass_by(60)
    assert scene.endings == [Ending.CRASHED]
    assert scene.said == ["Worker other is lost; 1 of its jobs run again."]


def test_a_claim_that_comes_after_the_end_of_its_worker_has_not_crashed(tmp_path: Path) -> None:
    """It was on its way when its worker died; nobody ran it."""
    scene = Scene(tmp_path)
    scene.driver.workers.remove("other")
    scene.claim()
    scene.pass_by(90)
    assert scene.endings == []
    assert scene.said == ["Worker other is lost; 1 of its jobs run again."]


def test_a_claim_that_stays_locked_keeps_nothing_else_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the transaction of a host that is gone, until the server knows: for hours, maybe."""
    scene = Scene(tmp_path)
    scene.claim()
    claiming, workers = scene.driver.claiming, scene.driver.workers
    release, locked = claiming.release_worker, {"other"}
    monkeypatch.setattr(
        claiming,
        "release_worker",
        lambda worker, *, crash: 0 if worker in locked else release(worker, crash=crash),
    )
    scene.pass_by(60)
    workers.register(WorkerRecord("third", "elsewhere", 8, started_at=0))
    registration = Registration(WorkerRecord("ours", "here", 9, started_at=0))
    scene.upkeep.owe(registration)
    scene.pass_by(60)
    assert registration.done
    assert "third" not in {each.id for each in workers.list()}, "it was lost meanwhile"
    assert (scene.endings, list(claiming.holders())) == ([], ["other"])
    locked.clear()
    scene.pass_by(60)
    assert scene.endings == [Ending.CRASHED]
    assert list(claiming.holders()) == []
    assert scene.said.count("Worker other is lost; 1 of its jobs run again.") == 1
