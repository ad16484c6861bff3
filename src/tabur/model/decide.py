"""The one place where it is decided what follows from the end of a run."""

from __future__ import annotations

from tabur.model.outcome import Ended, Ending, Outcome, Transition
from tabur.model.records import ClaimedJob, ErrorInfo, Progress
from tabur.model.retry import Policy, backoff_us
from tabur.model.states import State

CRASHES_UNTIL_POISON = 3


def decide(
    job: ClaimedJob,
    policy: Policy,
    outcome: Outcome,
    *,
    worker: str,
    now: int,
    random: float,
    progress: Progress | None = None,
) -> Transition:
    """The transition that settles `job` after `outcome`.

    Pure: `now` (microseconds, the store's clock) and `random` (in [0, 1)) are arguments, so that a
    test can ask for any case. A job that was handed back loses nothing; a crash spends no attempt,
    and the third one is poison.
    """
    attempts, exceptions, crashes = job.attempts + 1, job.exceptions, job.crashes
    due_at: int | None = None
    to: State
    ending: Ending | None
    match outcome.ended:
        case Ended.COMPLETED:
            to, ending = State.COMPLETED, Ending.COMPLETED
        case Ended.HANDED_BACK:
            to, ending, attempts = State.PENDING, None, job.attempts
            due_at = now + outcome.delay if outcome.delay else None
        case Ended.CANCELLED:
            to, ending = State.CANCELLED, Ending.CANCELLED
            attempts -= outcome.started_at is None
        case Ended.CRASHED:
            # What is poison already is not begun, and has not crashed once more.
            attempts, crashes = job.attempts, job.crashes + (job.crashes < CRASHES_UNTIL_POISON)
            to, ending = (
                (State.FAILED, Ending.FAILED)
                if crashes >= CRASHES_UNTIL_POISON
                else (State.PENDING, Ending.CRASHED)
            )
        case Ended.EXPIRED | Ended.REJECTED:
            to, ending, attempts = State.FAILED, Ending.FAILED, job.attempts
        case Ended.GAVE_UP:
            to, ending = State.FAILED, Ending.FAILED
        case Ended.RELEASED:
            to, ending = _again(policy, attempts, exceptions, now=now, ending=Ending.RELEASED)
            due_at = now + outcome.delay if outcome.delay else None
        case _:  # raised or timed out
            exceptions += 1
            final = outcome.permanent or (
                outcome.ended is Ended.TIMED_OUT and policy.fail_on_timeout
            )
            to, ending = (
                (State.FAILED, Ending.FAILED)
                if final
                else _again(policy, attempts, exceptions, now=now, ending=Ending.RETRIED)
            )
            delay = max(outcome.delay, backoff_us(policy.backoff, attempts, random))
            due_at = now + delay if delay else None
    if to is not State.PENDING:
        due_at = None
    elif due_at is not None:
        to = State.SCHEDULED
    error = outcome.error
    if to is State.FAILED and error is None:
        error = ErrorInfo(
            "TooManyAttempts", f"It released itself {attempts} times, and tries are used up."
        )
    return Transition(
        id=job.id,
        token=job.token,
        to=to,
        ending=ending,
        attempts=attempts,
        exceptions=exceptions,
        crashes=crashes,
        worker=worker,
        started_at=outcome.started_at,
        ended_at=outcome.ended_at,
        due_at=due_at,
        result=outcome.result,
        error=error,
        progress=progress,
        bonds=job.bonds,
    )


def _again(
    policy: Policy, attempts: int, exceptions: int, *, now: int, ending: Ending
) -> tuple[State, Ending]:
    """Pending with `ending` where the policy allows another attempt, else failed."""
    if policy.max_exceptions is not None and exceptions >= policy.max_exceptions:
        return State.FAILED, Ending.FAILED
    if policy.retry_until is not None:
        more = now < policy.retry_until
    else:
        more = policy.tries == 0 or attempts < policy.tries
    return (State.PENDING, ending) if more else (State.FAILED, Ending.FAILED)
