"""One run of one job, from claim to outcome: the straight path, whatever it runs in."""

from __future__ import annotations

import logging
from math import inf
from typing import TYPE_CHECKING, Any

from tabur.errors import ConfigError, JobCancelled, NewerJob, PayloadError, TaburError, UnknownJob
from tabur.jobs.context import CancelJob, FailJob, JobContext, ReleaseJob, Reporter
from tabur.jobs.definition import JobDefinition
from tabur.jobs.middleware import Call
from tabur.jobs.scope import NOBODY, Scope
from tabur.model.clock import now_us
from tabur.model.codec import describe, encode_result
from tabur.model.decide import CRASHES_UNTIL_POISON
from tabur.model.outcome import CALLED_BACK, Ended, Outcome
from tabur.model.records import ClaimedJob, ErrorInfo, decode_options
from tabur.model.retry import Policy
from tabur.model.text import storable
from tabur.worker.options import WorkOptions

if TYPE_CHECKING:
    from tabur.jobs.registry import Registry

_log = logging.getLogger("tabur.worker")


class JobTimedOut(TaburError):
    """What a job gets, and its `failed()` hook, when its time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"It ran longer than its timeout of {seconds:g} s.")


class JobCrashed(TaburError):
    """The process of a job ended under it."""

    permanent = True


class JobExpired(TaburError):
    """It was not started before the moment it was given."""

    permanent = True


class RemoteError(TaburError):
    """An exception that was raised in the process of a job: its type, message and traceback."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(f"{info.type}: {info.message}")
        self.info = info


class Run:
    """A claimed job that can start: its code, its arguments, the rules it is judged by."""

    __slots__ = (
        "arguments",
        "call",
        "ctx",
        "cut_off",
        "deadline",
        "definition",
        "error",
        "handle",
        "job",
        "policy",
        "timed_out",
        "timeout",
    )

    def __init__(
        self,
        job: ClaimedJob,
        definition: JobDefinition,
        arguments: Any,
        *,
        call: Call,
        policy: Policy,
        timeout: float,
        reporter: Reporter,
    ) -> None:
        self.job = job
        self.definition = definition
        self.arguments = arguments
        self.call = call
        """The job with its middleware."""
        self.policy = policy
        self.timeout = timeout
        self.ctx = JobContext(job, reporter, arguments)
        self.deadline: float | None = None
        """On the monotonic clock; set when it starts."""
        self.timed_out = False
        self.cut_off = False
        """Ended because its worker stops: as if it had not been claimed."""
        self.error: BaseException | None = None
        self.handle: Any = None
        """What its slot needs to stop it."""

    def ends_at(self, now: float) -> float:
        """When it has to be over, on the monotonic clock; infinite: never. `now` for one that has
        not started yet."""
        if self.deadline is not None:
            return self.deadline
        return now + self.timeout if self.timeout and not self.started_at else inf

    @property
    def started_at(self) -> int:
        return self.ctx.started_at

    @started_at.setter
    def started_at(self, moment: int) -> None:
        self.ctx.started_at = moment

    @property
    def is_ending(self) -> bool:
        return self.timed_out or self.cut_off

    def scope(self) -> Scope:
        job = self.job
        if job.tenant is job.user is job.locale is None:
            return NOBODY
        return Scope(job.tenant, job.user, job.locale)


class Refused(Exception):
    """The job cannot start; `outcome` says why, `definition` is None where its name is unknown."""

    def __init__(
        self, outcome: Outcome, error: BaseException, definition: JobDefinition | None
    ) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.error = error
        self.definition = definition


def prepare(
    job: ClaimedJob, registry: Registry, options: WorkOptions, reporter: Reporter, now: int | None
) -> Run:
    """Find the code and decode the arguments. `now` by the store's clock; None: whether the job has
    expired was looked at before. Raises Refused."""
    definition: JobDefinition | None = None
    try:
        definition = registry.get(job.name)
        if job.crashes >= CRASHES_UNTIL_POISON:
            raise JobCrashed(
                f"Its process died {job.crashes} times while it ran (killed, out of memory, or a "
                "crash in native code); it is not tried again by itself."
            )
        given = decode_options(job.options)
        if given.version > definition.options.version:
            raise NewerJob(job.name, given.version, given.code)
        if now is not None and given.expires is not None and now >= given.expires:
            raise JobExpired("Its time was over before a worker was free.")
        arguments = definition.decode(reporter.backing.seals.opened_payload(job), given.version)
    except (UnknownJob, PayloadError, JobExpired, JobCrashed) as error:
        raise Refused(_refusal(error, now or now_us()), error, definition) from None
    except Exception as error:  # what stands in the store was written by somebody else
        broken = PayloadError(f"Its record in the store cannot be read: {error}")
        raise Refused(_refusal(broken, now or now_us()), broken, definition) from error
    declared = definition.options
    timeout = given.timeout or declared.timeout or options.timeout
    policy = definition.policy(given, options.policy)
    return Run(
        job,
        definition,
        arguments,
        call=registry.call(definition),
        policy=policy,
        timeout=timeout,
        reporter=reporter,
    )


def completed(run: Run, value: Any) -> Outcome:
    """The outcome of a run that came to its end."""
    if (own := _own_end(run)) is not None:
        if value is not None and own.ended is Ended.COMPLETED and value != run.ctx.result:
            _log.warning(
                "%s %s: what it returned is not kept, since it had completed in ctx.transaction(); "
                "set ctx.result inside the block",
                run.job.name,
                run.ctx.job_id,
            )
        return own
    try:
        body = encode_result(run.ctx.result if value is None else value)
        result = run.ctx.backing.seals.result(run.job, body)
    except (PayloadError, ConfigError) as error:
        run.error = error
        return Outcome(
            Ended.RAISED, run.started_at, now_us(), error=describe(error), permanent=True
        )
    return Outcome(Ended.COMPLETED, run.started_at, now_us(), result)


def stopped(run: Run, error: BaseException) -> Outcome:
    """The outcome of a run that ended with an exception."""
    if (own := _own_end(run)) is not None:
        if own.ended is Ended.COMPLETED:
            _log.warning(
                "%s %s completed in its own transaction; what followed raised",
                run.job.name,
                run.ctx.job_id,
                exc_info=error,
            )
        if isinstance(error, KeyboardInterrupt | SystemExit):
            run.error = error
        return own
    now = now_us()
    if run.is_ending and not isinstance(error, Exception):
        return interrupted(run)
    match error:
        case ReleaseJob():
            charged = error.charged and not run.ctx.stopping
            ended = Ended.RELEASED if charged else Ended.HANDED_BACK
            return Outcome(ended, run.started_at, now, delay=error.delay)
        case FailJob():
            run.error = error.error
            return Outcome(Ended.GAVE_UP, run.started_at, now, error=describe(error.error))
        case CancelJob() | JobCancelled():
            reason = error.reason if isinstance(error, CancelJob) else CALLED_BACK
            info = ErrorInfo("JobCancelled", storable(reason, limit=2_000))
            return Outcome(Ended.CANCELLED, run.started_at, now, error=info)
    run.error = error
    permanent = isinstance(error, run.definition.options.never_retry) or (
        getattr(error, "permanent", False) is True
    )
    return Outcome(Ended.RAISED, run.started_at, now, error=describe(error), permanent=permanent)


def interrupted(run: Run, *, retry_after: int = 0) -> Outcome:
    """The outcome of a run that was ended from outside; tried again after `retry_after`
    microseconds at the earliest."""
    if (own := _own_end(run)) is not None:
        return own
    now = now_us()
    if run.cut_off and not run.timed_out:
        return Outcome(Ended.HANDED_BACK, run.started_at, now)
    run.error = JobTimedOut(run.timeout)
    info = describe(run.error)
    return Outcome(Ended.TIMED_OUT, run.started_at, now, error=info, delay=retry_after)


def _own_end(run: Run) -> Outcome | None:
    """The outcome of a run that has settled itself, or has found out that it is not its to settle;
    None for all others."""
    own = run.ctx.own_settle
    if own is None:
        return None
    if own.lost:
        # As if it had not been claimed. A failure would call the job's failed(), while another
        # worker may have completed it.
        return Outcome(Ended.HANDED_BACK, run.started_at, now_us())
    return own.completed


def _refusal(error: TaburError, now: int) -> Outcome:
    match error:
        case JobCrashed():
            ended = Ended.CRASHED
        case JobExpired():
            ended = Ended.EXPIRED
        case _:
            ended = Ended.REJECTED
    return Outcome(ended, None, now, error=describe(error), permanent=True)
