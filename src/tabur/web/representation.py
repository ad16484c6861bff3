"""A job's status as its owner sees it: the JSON of the status contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

import msgspec

from tabur.jobs.context import GaveUp
from tabur.jobs.handle import JobStatus
from tabur.model.states import FINISHED, State
from tabur.web.texts import text

ErrorText = Callable[[JobStatus, str], str | None]
"""(status of a failed job, language) → what its owner may read; None for the default."""

# People wait the same way for all three; which one it is concerns operators.
_SHOWN = {State.SCHEDULED: State.PENDING, State.BLOCKED: State.PENDING}


class Representation(msgspec.Struct, frozen=True):
    """`body` is the JSON; `tag` changes exactly when it does."""

    body: bytes
    tag: str
    finished: bool


def represent(
    status: JobStatus,
    *,
    base: str,
    query: str,
    lang: str,
    now: datetime,
    error_text: ErrorText | None = None,
) -> Representation:
    """`base` is the path where the status app is mounted; `query` is added to links (a read token
    that the page was opened with, else empty)."""
    progress, finished = status.progress, status.state in FINISHED
    shown = shown_state(status)
    result_url = None
    if finished and status.attachments:
        result_url = f"{base}/{status.id}/attachments/{status.attachments[0].n}{query}"
    body = msgspec.json.encode(
        {
            "job_id": status.id,
            "status": shown,
            "cancelling": status.cancelling and not finished,
            "progress": 100 if shown is State.COMPLETED else progress.percent,
            "done": progress.done,
            "total": progress.total,
            "unit": progress.unit,
            "message": progress.message,
            "eta_seconds": eta_seconds(status, now),
            "attempt": status.attempt,
            "warnings": progress.warnings,
            "created_at": status.created_at,
            "started_at": status.started_at,
            "finished_at": status.finished_at,
            "result_url": result_url,
            "result": status.result if shown is State.COMPLETED else None,
            "error": public_error(status, lang, error_text),
        }
    )
    return Representation(body, sha256(body).hexdigest()[:24], finished)


def shown_state(status: JobStatus) -> State:
    """The state in the five words of the contract."""
    return _SHOWN.get(status.state, status.state)


def public_error(status: JobStatus, lang: str, error_text: ErrorText | None = None) -> str | None:
    """Why it failed, in words for its owner.

    Only what `ctx.fail("…")` was given is written for users and shown as it is. Every other error
    was written for programmers and may hold names of tables, addresses or other people's data:
    it becomes one neutral sentence with the job's id, by which an operator finds the rest.
    """
    if status.state is not State.FAILED:
        return None
    written = error_text(status, lang) if error_text is not None else None
    if written is None and status.error is not None and status.error.type == GaveUp.__qualname__:
        written = status.error.message
    return text("failed", lang).format(id=status.id) if written is None else written


def eta_seconds(status: JobStatus, now: datetime) -> int | None:
    """Seconds left if it goes on at the pace so far; None before 5 % or 10 s, when that pace says
    nothing yet. Rounded up to what a person would say: a false precision is noticed."""
    progress, started = status.progress, status.started_at
    if status.state is not State.PROCESSING or not progress.total or started is None:
        return None
    elapsed = (now - started).total_seconds()
    done = min(progress.done, progress.total)
    if done <= 0 or elapsed <= 0 or (done * 20 < progress.total and elapsed < 10):
        return None
    left = elapsed * (progress.total - done) / done
    step = 5 if left < 60 else 30 if left < 600 else 60 if left < 3600 else 600
    return -int(-left // step) * step


def actions(status: JobStatus, *, may_retry: bool) -> str:
    """What the owner could ask for now, as the Tabur-Actions header names it."""
    if status.state not in FINISHED:
        return "" if status.cancelling else "cancel"
    return "retry" if status.state is State.FAILED and may_retry else ""
