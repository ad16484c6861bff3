"""Jobs that this app does not know are left to other workers for a while."""

from __future__ import annotations

from tabur.errors import PayloadError, UnknownJob
from tabur.model.clock import SECOND
from tabur.model.outcome import Ended, Outcome
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation
from tabur.worker.running.run import Refused
from tabur.worker.running.unknown import LONGEST, MEMORY, Patience


def job(n: int = 1) -> ClaimedJob:
    return ClaimedJob(
        id=n.to_bytes(16, "big"),
        name="renamed",
        queue="default",
        isolation=Isolation.THREAD,
        payload=b"{}",
        created_at=0,
        attempts=0,
        exceptions=0,
        crashes=0,
    )


REJECTED = Outcome(Ended.REJECTED, None, 0, permanent=True)
UNKNOWN = Refused(REJECTED, UnknownJob("renamed"), None)


class Scene:
    def __init__(self) -> None:
        self.now = 50.0
        self.patience = Patience(60.0, lambda: self.now)

    def judged(self, *, at: float, n: int = 1) -> Outcome:
        self.now = 50.0 + at
        return self.patience.judged(job(n), UNKNOWN).outcome


def test_it_is_handed_back_ever_more_seldom_and_fails_when_patience_ends() -> None:
    scene = Scene()
    delays = []
    for at in (0.0, 1.0, 4.0, 30.0, 50.0, 59.5):
        outcome = scene.judged(at=at)
        assert outcome.ended is Ended.HANDED_BACK
        assert outcome.error is None
        delays.append(outcome.delay / SECOND)
    assert delays == [1.0, 1.0, 4.0, LONGEST, LONGEST, 0.5]
    assert scene.judged(at=60.0) == REJECTED


def test_each_job_has_its_own_patience() -> None:
    scene = Scene()
    scene.judged(at=0.0, n=1)
    assert scene.judged(at=60.0, n=2).ended is Ended.HANDED_BACK
    assert scene.judged(at=60.0, n=1).ended is Ended.REJECTED


def test_what_no_other_worker_could_know_better_fails_at_once() -> None:
    why = Refused(REJECTED, PayloadError("no JSON"), None)
    assert Patience(60.0, lambda: 0.0).judged(job(), why) is why


def test_it_forgets_rather_than_grow_without_end() -> None:
    scene = Scene()
    for n in range(MEMORY + 2):
        scene.judged(at=0.0, n=n)
    assert scene.judged(at=60.0, n=MEMORY).ended is Ended.REJECTED
    assert scene.judged(at=60.0, n=0).ended is Ended.HANDED_BACK  # it was the oldest
