"""One run of one job, with neither queue nor store: what it did, and what would become of it."""

from __future__ import annotations

import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import msgspec

from tabur.dispatch.outgoing import Outgoing
from tabur.jobs.context import JobContext
from tabur.jobs.coroutines import wait_for
from tabur.jobs.current import running
from tabur.jobs.handle import decode_as
from tabur.jobs.job import Job
from tabur.jobs.keyring import KeyRing, new_key
from tabur.jobs.pending import PendingJob
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import Sessions
from tabur.jobs.settling import Backing, own_settle_of
from tabur.jobs.spans import span_us
from tabur.model.clock import SECOND, now_us
from tabur.model.codec import decode_cursor, encode_cursor
from tabur.model.decide import decide
from tabur.model.ids import new_token
from tabur.model.outcome import Ended, Ending, Outcome, Transition, called_back
from tabur.model.records import ClaimedJob, NewJob, Progress
from tabur.model.states import FINISHED, State
from tabur.worker.inline import WORKER, outcome_of
from tabur.worker.options import WorkOptions
from tabur.worker.running.run import Run, prepare

R = TypeVar("R")

_OPTIONS = WorkOptions()
#: Of a wait that is drawn at random, the longest: a test is to see the same each time.
_LONGEST = 1 - 2**-53


class FakeAttachment(msgspec.Struct, frozen=True):
    name: str
    media_type: str
    content: bytes


class FakeRun(Generic[R]):
    """What came of one run. `error`: what it raised, or gave to `ctx.fail()`; `progress`: all that
    it told, in order; `attachments`: the files that it would have left."""

    def __init__(
        self,
        pending: PendingJob[R],
        this: Run,
        outcome: Outcome,
        move: Transition,
        reporter: _FakeReporter,
        *,
        delay: int,
    ) -> None:
        self._pending = pending
        self._outcome = outcome
        self._move = move
        self._delay = delay
        seals = reporter.backing.seals
        self._result = seals.opened_result(this.job, outcome.result)
        self.error: BaseException | None = this.error
        self.progress: list[Progress] = reporter.seen
        self.attachments: list[FakeAttachment] = reporter.attachments
        self.cursor: Any = decode_cursor(reporter.backing.cursor(this.job.id))
        """What the last checkpoint has left for the next attempt."""

    @property
    def result(self) -> R:
        """What it returned. Raises AssertionError where it did not complete."""
        self.assert_completed()
        value: R = decode_as(self._result, self._pending.definition.result_type)
        return value

    @property
    def warnings(self) -> int:
        """How many it counted."""
        return self.progress[-1].warnings if self.progress else 0

    def assert_completed(self) -> None:
        self._check("did not complete", holds=self._move.to is State.COMPLETED)

    def assert_released(self, *, delay: timedelta | float | None = None) -> None:
        """It gave itself back, to run again, with `delay` after so many seconds."""
        self._check("was not released", holds=self._was_released)
        self._check_delay(delay)

    def assert_not_released(self) -> None:
        self._check("was released", holds=not self._was_released)

    def assert_retried(self, *, delay: timedelta | float | None = None) -> None:
        """It raised, and is to be tried again. Of a back-off that is drawn at random, `delay` is
        the longest."""
        self._check("is not to be tried again", holds=self._move.ending is Ending.RETRIED)
        self._check_delay(delay)

    def assert_failed(self) -> None:
        """It failed for good: no attempt is left, or none would help."""
        self._check("did not fail", holds=self._move.to is State.FAILED)

    def assert_failed_with(self, error: type[BaseException] | str) -> None:
        """It failed for good, with an error of this class or with this text."""
        self._check("did not fail", holds=self._move.to is State.FAILED)
        info = self._move.error
        found = (
            isinstance(self.error, error)
            if isinstance(error, type)
            else info is not None and error == info.message
        )
        wanted = error.__name__ if isinstance(error, type) else repr(error)
        self._check(f"did not fail with {wanted}", holds=found)

    def assert_not_failed(self) -> None:
        self._check("failed", holds=self._move.to is not State.FAILED)

    def assert_cancelled(self) -> None:
        """It has ended as cancelled: neither done nor failed, and it does not run again."""
        self._check("was not cancelled", holds=self._move.to is State.CANCELLED)

    def assert_not_cancelled(self) -> None:
        self._check("was cancelled", holds=self._move.to is not State.CANCELLED)

    @property
    def _was_released(self) -> bool:
        again = self._move.to in (State.PENDING, State.SCHEDULED)
        return again and self._outcome.ended in (Ended.RELEASED, Ended.HANDED_BACK)

    def _check_delay(self, delay: timedelta | float | None) -> None:
        if delay is not None:
            wanted = span_us(delay, "delay")
            # A millisecond: of a wait drawn at random the longest is a hair below its bound.
            fits = abs(wanted - self._delay) < SECOND // 1000
            self._check(f"does not run again in {wanted / SECOND:g} s", holds=fits)

    def _check(self, otherwise: str, *, holds: bool) -> None:
        if not holds:
            message = f"{self._pending!r} {otherwise}. It {self._told()}."
            raise AssertionError(message) from self.error

    def _told(self) -> str:
        error = self._move.error
        raised = "" if error is None else f"{error.type}: {error.message}".rstrip(".")
        again = f"runs again in {self._delay / SECOND:g} s" if self._delay else "runs again at once"
        match self._move.to:
            case State.COMPLETED:
                return "completed"
            case State.CANCELLED:
                return f"was cancelled ({raised})"
            case State.FAILED:
                return f"failed with {raised}"
            case _ if self._was_released:
                return f"was released, and {again}"
            case _:
                return f"raised {raised}, and {again}"


def run(
    job: PendingJob[R] | Job[R],
    *,
    attempt: int = 1,
    cancelled: bool = False,
    stopping: bool = False,
    cursor: Any = None,
) -> FakeRun[R]:
    """Run a job here and now on the path that it takes in a worker, and judge its end by its own
    rules; `failed()` of a class is called where it has failed for good.

    `attempt`: which one this is, those before having raised; `cancelled`: its owner has called it
    back; `stopping`: its worker is about to stop; `cursor`: what a checkpoint has left before. What
    the job raises does not come out: ask the answer.
    """
    pending = job.pending() if isinstance(job, Job) else job
    sender = pending.sender
    seals = Seals(KeyRing(new_key()), sender.registry.get)  # a test needs no key
    new = Outgoing(pending, sender.scope.get(), seals=seals).job(now_us(), "default")
    claimed = _claimed(new, attempt)
    kept = None if cursor is None else encode_cursor(cursor)
    backing = _FakeBacking(sender.sessions, kept, seals)
    reporter = _FakeReporter(backing, cancelled=cancelled, stopping=stopping)
    this = prepare(claimed, sender.registry, _OPTIONS, reporter, now_us())
    this.started_at = now_us()
    with sender.scope.entered(this.scope()), running(this.ctx):
        outcome = outcome_of(this)
        if isinstance(this.error, KeyboardInterrupt):
            raise this.error
        now = now_us()
        move = decide(claimed, this.policy, outcome, worker=WORKER, now=now, random=_LONGEST)
        if cancelled and move.to not in FINISHED:
            move = called_back(move)
        if move.to is State.FAILED:
            _call_failed(this)
    delay = 0 if move.due_at is None else move.due_at - now
    return FakeRun(pending, this, outcome, move, reporter, delay=delay)


def _claimed(job: NewJob, attempt: int) -> ClaimedJob:
    return ClaimedJob(
        id=job.id,
        name=job.name,
        queue=job.queue,
        isolation=job.isolation,
        payload=job.payload,
        created_at=job.created_at,
        attempts=attempt - 1,
        exceptions=attempt - 1,
        crashes=0,
        options=job.options,
        tenant=job.tenant,
        user=job.user,
        locale=job.locale,
        token=new_token(),
    )


def _call_failed(this: Run) -> None:
    """Its `failed()`; what that raises comes out."""
    failed = this.definition.failed
    if failed is not None:
        own_settle_of(this.ctx).failed = True
        answer = failed(this.ctx, this.arguments, cast(BaseException, this.error))
        if inspect.iscoroutine(answer):
            wait_for(answer)


class _FakeReporter:
    """Keeps what a run tells."""

    def __init__(self, backing: _FakeBacking, *, cancelled: bool, stopping: bool) -> None:
        self.backing = backing
        self.stopping = stopping
        self.seen: list[Progress] = []
        self.attachments: list[FakeAttachment] = []
        self._cancelled = cancelled

    def progress(self, ctx: JobContext) -> None:
        self.seen.append(ctx.last_progress)

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int:
        held = content if isinstance(content, bytes) else content.read_bytes()
        self.attachments.append(FakeAttachment(name, media_type, held))
        return len(self.attachments)

    def cancelled(self, ctx: JobContext) -> bool:
        return self._cancelled


class _FakeBacking(Backing):
    """`cursor`: what the last checkpoint has left, encoded."""

    def __init__(self, sessions: Sessions, cursor: bytes | None, seals: Seals) -> None:
        super().__init__(None, sessions, seals=seals)
        self._first = cursor

    def cursor(self, job_id: bytes) -> bytes | None:
        return super().cursor(job_id) or self._first
