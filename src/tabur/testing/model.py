"""A queue so small that it is plainly right: what the state machine compares drivers with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tabur.drivers.contract import CancelAnswer
from tabur.model.batches import NewBatch
from tabur.model.outcome import Cancel, Dispatch, Ending, FollowUp, Settled, Transition, Unblock
from tabur.model.records import ClaimedJob, Crash, Hold, NewJob, Pause, Progress
from tabur.model.states import FINISHED, Isolation, State
from tabur.testing.model_bonds import ModelBonds
from tabur.testing.model_job import ModelJob


class Model:
    """Plain scans over a dict; nothing is indexed, nothing is fast."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.jobs: dict[bytes, ModelJob] = {}
        self.step = 0
        self.pauses: dict[str, Pause] = {}
        self.hold: Hold | None = None
        self.moment = 0
        self.bonds = ModelBonds(self)

    def in_state(self, *states: State) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.state in states]

    def held_by(self, worker: str) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.worker == worker]

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> dict[bytes, bytes]:
        """Answers, of jobs that are not kept for their unique key, who holds it."""
        opened = self.bonds.open(batches)
        holders: dict[bytes, bytes] = {}
        replaced: list[bytes] = []
        for new in jobs:
            batch = new.bonds.batch if new.bonds else None
            if new.id in self.jobs or (batch is not None and not self.bonds.is_open(batch)):
                continue
            holder, due_at, instead_of = self.bonds.take(new)
            if holder is not None:
                holders[new.id] = holder
                continue
            if instead_of is not None:
                replaced.append(instead_of)
            job = ModelJob(new, State.BLOCKED, new.isolation, blockers=new.blockers)
            self.jobs[new.id] = job
            job.due_at = due_at
            self.bonds.bind(job)
            if not new.blockers:
                self._queue_up(job)
        self.bonds.close(opened)
        for job_id in replaced:
            self.cancel(job_id)
        return holders

    def cancel(self, job_id: bytes) -> CancelAnswer:
        job = self.jobs.get(job_id)
        if job is None:
            return CancelAnswer.UNKNOWN
        if job.state in FINISHED:
            return CancelAnswer.FINISHED
        if job.state is State.PROCESSING:
            job.cancelling = True
            return CancelAnswer.CANCELLING
        job.endings.append(Ending.CANCELLED)
        self._finish(job, State.CANCELLED)
        return CancelAnswer.CANCELLED

    def retry(self, job_id: bytes) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.state not in (State.FAILED, State.CANCELLED):
            return False
        if not self.bonds.may_come_back(job):
            return False
        self.begin_anew(job)
        return True

    def begin_anew(self, job: ModelJob) -> None:
        job.endings[-1] = Ending.RETRIED
        job.attempts = job.exceptions = job.crashes = 0
        job.isolation, job.progress = job.new.isolation, Progress()
        job.blockers = self.bonds.unfinished_sources(job.new.id)
        if job.blockers:
            job.state = State.BLOCKED
        else:
            self._queue_up(job)
        self.bonds.bring_back(job)

    def unblock(self, job: ModelJob) -> None:
        job.blockers -= 1
        if not job.blockers:
            self._queue_up(job)

    def put_off(self, job: ModelJob, due_at: int | None) -> None:
        lies_ahead = due_at is not None and due_at > self.clock()
        if job.state is State.BLOCKED:
            job.due_at = due_at
        elif job.state is State.SCHEDULED or lies_ahead:
            job.due_at = due_at
            self._queue_up(job)

    def forget(self, job_id: bytes) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.state not in FINISHED:
            return False
        del self.jobs[job_id]
        return True

    def settle(self, move: Transition) -> Settled:
        job = self.jobs.get(move.id)
        if job is None:
            return Settled.UNKNOWN
        if job.token != move.token:
            return Settled.DONE if move.token in job.settled else Settled.STALE
        to, ending, follow_ups = move.to, move.ending, move.follow_ups
        if job.cancelling and to not in FINISHED:
            to, ending, follow_ups = State.CANCELLED, Ending.CANCELLED, ()
        job.attempts, job.exceptions, job.crashes = move.attempts, move.exceptions, move.crashes
        if move.crashes:
            job.isolation = Isolation.PROCESS
        if move.progress is not None:
            job.progress = move.progress
        if ending is not None:
            job.endings.append(ending)
            job.settled.add(move.token)
        if to in FINISHED:
            self._finish(job, to)
        else:
            self._let_go(job)
            job.due_at = move.due_at
            self._queue_up(job)
        for follow_up in follow_ups:
            self._follow_up(follow_up)
        return Settled.DONE

    def report(self, job_id: bytes, token: bytes, progress: Progress) -> bool:
        job = self.jobs.get(job_id)
        if job is None or job.token != token:
            return False
        job.progress = progress
        return True

    def release(self, job: ModelJob, *, crash: Crash | None = None) -> None:
        if crash is not None and crash.blames(job.new.id):
            job.crashes += 1
            job.isolation = Isolation.PROCESS
            job.endings.append(Ending.CRASHED)
        if job.cancelling:
            job.endings.append(Ending.CANCELLED)
            self._finish(job, State.CANCELLED)
        else:
            self._let_go(job)
            job.state = State.PENDING

    def claim(
        self,
        claimed: Sequence[ClaimedJob],
        queues: Sequence[str],
        slots: Mapping[Isolation, int],
        *,
        token: bytes,
        worker: str,
    ) -> None:
        """Accept a driver's claims, or raise AssertionError with the rule that they break."""
        free = dict(slots)
        rest = list(claimed)
        claimable = self._claimable()
        for queue in queues:
            for isolation in slots:
                ready = [job for job in claimable if _place(job) == (queue, isolation)]
                mine = [each for each in rest if (each.queue, each.isolation) == (queue, isolation)]
                rest = [each for each in rest if each not in mine]
                taken = [self.jobs[each.id] for each in mine]
                assert all(job in ready for job in taken), "claimed what may not be claimed"
                assert len(taken) == min(free[isolation], len(ready)), "too few or too many"
                left = [job for job in ready if job not in taken]
                for earlier, later in _pairs(taken, left):
                    assert _rank(earlier) <= _rank(later), "claimed out of order"
                free[isolation] -= len(taken)
        assert rest == [], "claimed from a queue that was not asked for"
        for each in claimed:
            job = self.jobs[each.id]
            counters = (each.attempts, each.exceptions, each.crashes)
            assert counters == (job.attempts, job.exceptions, job.crashes)
            assert (each.payload, each.token) == (job.new.payload, token)
            if job.state is State.SCHEDULED:
                self.see_promoted(job)
            job.state, job.token, job.worker = State.PROCESSING, token, worker

    def lasting_pauses(self) -> dict[str, Pause]:
        now = self.clock()
        return {queue: each for queue, each in self.pauses.items() if each.lasts(now)}

    def next_due(self) -> int | None:
        return min(
            (job.due_at for job in self.in_state(State.SCHEDULED) if job.due_at is not None),
            default=None,
        )

    def see_promoted(self, job: ModelJob) -> None:
        """A driver may promote a due job at any time: accept that it has."""
        assert job.due_at is not None
        assert job.due_at <= self.clock(), "promoted before its time"
        self._queue_up(job)

    def is_due(self, job: ModelJob) -> bool:
        due = job.due_at is not None and job.due_at <= self.clock()
        return job.state is State.SCHEDULED and due

    def _claimable(self) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.state is State.PENDING or self.is_due(job)]

    def _queue_up(self, job: ModelJob) -> None:
        if job.due_at is not None and job.due_at > self.clock():
            job.state = State.SCHEDULED
        else:
            job.state, job.due_at, job.since = State.PENDING, None, self.step

    def _finish(self, job: ModelJob, to: State) -> None:
        self._let_go(job)
        job.state, job.due_at, job.blockers, job.cancelling = to, None, 0, False
        self.bonds.ended(job)

    def _let_go(self, job: ModelJob) -> None:
        job.token = job.worker = None

    def _follow_up(self, follow_up: FollowUp) -> None:
        match follow_up:
            case Unblock(job_id):
                job = self.jobs.get(job_id)
                if job is not None and job.state is State.BLOCKED:
                    self.unblock(job)
            case Cancel(job_id, _):
                self.cancel(job_id)
            case Dispatch(new):
                self.dispatch([new])


def _place(job: ModelJob) -> tuple[str, Isolation]:
    return (job.new.queue, job.isolation)


def _rank(job: ModelJob) -> tuple[int, int]:
    """Smaller is claimed first; a due job that nobody has seen promoted comes last."""
    return (-job.new.priority, job.since if job.state is State.PENDING else 2**31)


def _pairs(taken: Sequence[ModelJob], left: Sequence[ModelJob]) -> list[tuple[ModelJob, ModelJob]]:
    """Each job beside each that should come after it."""
    among = [(taken[n], later) for n in range(len(taken)) for later in taken[n + 1 :]]
    return among + [(earlier, later) for earlier in taken for later in left]
