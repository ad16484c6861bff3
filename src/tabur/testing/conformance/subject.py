"""A driver under test: with a clock that stands still, and short words for what tests do."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

from tabur.drivers.contract import Driver, Exchange, Exchanged, ProgressWrite
from tabur.model.batches import BatchRecord, NewBatch
from tabur.model.bonds import Bonds, Unique
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Ending, Settled, Transition
from tabur.model.records import (
    ClaimedJob,
    Crash,
    DispatchOptions,
    ErrorInfo,
    JobRecord,
    NewJob,
    Progress,
    encode,
)
from tabur.model.schedules import Advance, Decision, Origin, ScheduleRecord, Tick
from tabur.model.states import Isolation, State

CRASH = Crash(ErrorInfo("JobCrashed", "Its process died under it."))
KEY = b"k" * 16
ALL_SLOTS: Mapping[Isolation, int] = dict.fromkeys(Isolation, 1000)


class Clock:
    """Microseconds, going on only when told to."""

    def __init__(self, now: int = 1_750_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000)

    def ahead(self, seconds: float) -> int:
        """The moment so many seconds from now."""
        return self.now + round(seconds * 1_000_000)


AnyJob = NewJob | ClaimedJob
MakeDriver = Callable[[Clock], Driver]
AdvanceElsewhere = Callable[[Sequence[Advance]], Sequence[bool]]


class Subject:
    """`dispatch_elsewhere` dispatches from another process, where the store can be shared, and
    `advance_elsewhere` makes moves there, one after the other."""

    def __init__(
        self,
        make_driver: MakeDriver,
        *,
        dispatch_elsewhere: Callable[[NewJob], None] | None = None,
        advance_elsewhere: AdvanceElsewhere | None = None,
    ) -> None:
        self.clock = Clock()
        self.driver = make_driver(self.clock)
        self.driver.migrate()
        self.dispatch_elsewhere = dispatch_elsewhere
        self.advance_elsewhere = advance_elsewhere

    # bringing in

    def new(self, **given: Any) -> NewJob:
        """A job, not dispatched yet; `given` replaces its fields."""
        plain: dict[str, Any] = {
            "id": new_id(),
            "name": "send",
            "queue": "default",
            "isolation": Isolation.THREAD,
            "payload": b"{}",
            "created_at": self.clock(),
        }
        return NewJob(**(plain | given))

    def put(self, **given: Any) -> NewJob:
        """A job, dispatched."""
        job = self.new(**given)
        self.driver.dispatching.dispatch([job])
        return job

    def put_many(self, count: int, **given: Any) -> list[NewJob]:
        jobs = [self.new(**given) for _ in range(count)]
        self.driver.dispatching.dispatch(jobs)
        return jobs

    def bound(
        self,
        *,
        batch: bytes | None = None,
        next: Sequence[bytes] = (),  # as in Bonds
        unique: Unique | None = None,
        **given: Any,
    ) -> NewJob:
        """A job with bonds, not dispatched yet."""
        bonds = Bonds(batch, tuple(next), unique)
        return self.new(options=encode(DispatchOptions(bonds=bonds)), **given)

    def keyed(self, **given: Any) -> NewJob:
        """A job under a unique key, not dispatched yet; `given` replaces fields of either."""
        unique = {name: given.pop(name) for name in Unique.__struct_fields__ if name in given}
        return self.bound(unique=Unique(**({"key": KEY} | unique)), **given)

    def dispatch(self, *jobs: NewJob) -> dict[bytes, bytes]:
        return dict(self.driver.dispatching.dispatch(jobs))

    def put_bound(self, **given: Any) -> NewJob:
        job = self.bound(**given)
        self.driver.dispatching.dispatch([job])
        return job

    def put_batch(self, count: int, **given: Any) -> tuple[NewBatch, list[NewJob]]:
        """A batch of so many jobs, dispatched."""
        batch = self.new_batch(**given)
        jobs = [self.bound(batch=batch.id) for _ in range(count)]
        self.driver.dispatching.dispatch(jobs, [batch])
        return batch, jobs

    def put_chain(self, count: int) -> list[NewJob]:
        """Jobs each of which waits for the one before, dispatched."""
        jobs = self.chain(count)
        self.driver.dispatching.dispatch(jobs)
        return jobs

    def chain(self, count: int, *, batch: bytes | None = None) -> list[NewJob]:
        ids = [new_id() for _ in range(count)]
        return [
            self.bound(id=job_id, batch=batch, next=ids[n + 1 : n + 2], blockers=int(n > 0))
            for n, job_id in enumerate(ids)
        ]

    def put_diamond(self) -> list[NewJob]:
        """One job, two that wait for it, and one that waits for both, dispatched."""
        bottom = self.bound(blockers=2)
        left, right = (self.bound(blockers=1, next=(bottom.id,)) for _ in range(2))
        top = self.bound(next=(left.id, right.id))
        self.driver.dispatching.dispatch([top, left, right, bottom])
        return [top, left, right, bottom]

    def new_batch(self, **given: Any) -> NewBatch:
        plain: dict[str, Any] = {"id": new_id(), "name": "import", "created_at": self.clock()}
        return NewBatch(**(plain | given))

    # working

    def turn(self, **given: Any) -> Exchanged:
        return self.driver.claiming.exchange(Exchange(**({"worker": "w1"} | given)))

    def claim(
        self,
        *queues: str,
        worker: str = "w1",
        token: bytes | None = None,
        slots: Mapping[Isolation, int] = ALL_SLOTS,
        settle: Sequence[Transition] = (),
    ) -> list[ClaimedJob]:
        answer = self.turn(
            worker=worker,
            token=token or new_token(),
            queues=queues or ("default",),
            slots=slots,
            settle=settle,
        )
        return list(answer.claimed)

    def claim_one(self, **given: Any) -> ClaimedJob:
        claimed = self.claim(**given)
        assert len(claimed) == 1
        return claimed[0]

    def running(self, **given: Any) -> ClaimedJob:
        """A job of its own, dispatched and claimed."""
        job = self.put(**given)
        return next(each for each in self.claim(job.queue) if each.id == job.id)

    def finished(self, to: State = State.COMPLETED, **given: Any) -> ClaimedJob:
        """A job that has come to its end."""
        claimed = self.running(**given)
        assert self.settle(move(claimed, to)) == [Settled.DONE]
        return claimed

    def settle(self, *moves: Transition) -> list[Settled]:
        return list(self.turn(settle=moves).settled)

    def run(self, job: AnyJob, to: State = State.COMPLETED) -> None:
        """Claim a job, and what else may be claimed with it, and end it so; the rest is handed
        back."""
        claimed = self.claim()
        assert job.id in {each.id for each in claimed}
        ended = [move(each, to) if each.id == job.id else hand_back(each) for each in claimed]
        assert self.settle(*ended) == [Settled.DONE] * len(claimed)

    def drain(self, *, failing: Container[bytes] = ()) -> list[bytes]:
        """Run what may be claimed, one after the other, until nothing is left; some fail. Answers
        which have run, in order."""
        ran: list[bytes] = []
        while claimed := self.claim(slots=dict.fromkeys(Isolation, 1)):
            for job in claimed:
                to = State.FAILED if job.id in failing else State.COMPLETED
                assert self.settle(move(job, to)) == [Settled.DONE]
                ran.append(job.id)
        return ran

    def report(self, claimed: ClaimedJob, progress: Progress) -> None:
        self.turn(progress=[ProgressWrite(claimed.id, claimed.token, progress)])

    # scheduling

    def schedule(self, name: str = "nightly", **given: Any) -> ScheduleRecord:
        """A schedule that is due now, put; `given` replaces its fields."""
        record = ScheduleRecord(**(self._plain_schedule(name) | given))
        assert self.driver.schedules.put([record]) == 1
        return record

    def _plain_schedule(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "origin": Origin.TABLE,
            "definition": b"{}",
            "cron_expression": "* * * * *",
            "timezone": "UTC",
            "next_run_at": self.clock(),
        }

    def tick(self, schedule: ScheduleRecord, **given: Any) -> Tick:
        """The tick at which it is due, dispatched; `given` replaces its fields."""
        plain: dict[str, Any] = {
            "schedule": schedule.name,
            "due_at": schedule.next_run_at,
            "decision": Decision.DISPATCHED,
            "decided_at": self.clock(),
            "job": new_id(),
            "scheduler": "s1",
        }
        return Tick(**(plain | given))

    def advancing(self, schedule: ScheduleRecord, *ticks: Tick, **given: Any) -> Advance:
        """The move that an ordinary tick makes, or `ticks`, with their jobs; a minute on."""
        assert schedule.next_run_at is not None
        ticks = ticks or (self.tick(schedule),)
        plain: dict[str, Any] = {
            "schedule": schedule.name,
            "revision": schedule.revision,
            "seen": schedule.next_run_at,
            "ticks": ticks,
            "next_run_at": schedule.next_run_at + 60_000_000,
            "jobs": tuple(self.new(id=tick.job) for tick in ticks if tick.job is not None),
        }
        return Advance(**(plain | given))

    def advance(self, *moves: Advance) -> list[bool]:
        return list(self.driver.schedules.advance(moves))

    def stored(self, name: str = "nightly") -> ScheduleRecord:
        record = self.driver.schedules.find(name)
        assert record is not None
        return record

    # looking

    def find(self, job_id: bytes) -> JobRecord:
        record = self.driver.inspection.find(job_id)
        assert record is not None
        return record

    def state(self, job: AnyJob) -> State:
        return self.find(job.id).state

    def states(self, *jobs: AnyJob) -> list[State]:
        return [self.state(job) for job in jobs]

    def batch(self, batch: NewBatch) -> BatchRecord:
        record = self.driver.batches.find(batch.id)
        assert record is not None
        return record

    def counts(self, batch: NewBatch) -> tuple[int, int, int, int]:
        """How many jobs of a batch there are in all, unfinished, failed and cancelled."""
        record = self.batch(batch)
        return record.total, record.pending, record.failed, record.cancelled

    def holder(self, key: bytes = KEY) -> bytes | None:
        """Who holds a unique key; found by a job that is taken away again where nobody does."""
        asking = self.keyed(key=key)
        holder = self.dispatch(asking).get(asking.id)
        if holder is None:
            self.driver.dispatching.cancel(asking.id)
        return holder

    def is_known(self, job: AnyJob) -> bool:
        return self.driver.inspection.find(job.id) is not None


def move(job: ClaimedJob, to: State, **given: Any) -> Transition:
    """The transition of an ordinary attempt that ends in `to`; `given` replaces its fields."""
    plain: dict[str, Any] = {
        "id": job.id,
        "token": job.token,
        "to": to,
        "ending": _ENDINGS.get(to, Ending.RETRIED),
        "attempts": job.attempts + 1,
        "exceptions": job.exceptions,
        "crashes": job.crashes,
        "worker": "w1",
        "started_at": job.created_at,
        "ended_at": job.created_at + 1_000,
        "bonds": job.bonds,
    }
    return Transition(**(plain | given))


def hand_back(job: ClaimedJob) -> Transition:
    """The transition of a job that never started: nothing is to be remembered."""
    return move(job, State.PENDING, ending=None, attempts=job.attempts, started_at=None)


_ENDINGS = {
    State.COMPLETED: Ending.COMPLETED,
    State.FAILED: Ending.FAILED,
    State.CANCELLED: Ending.CANCELLED,
}
