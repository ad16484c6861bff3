"""Filters as conditions, and whole jobs as one select."""

from __future__ import annotations

from typing import Any

import msgspec

from tabur.drivers.contract import Filter
from tabur.model.records import ErrorInfo, JobRecord, Progress
from tabur.model.states import State

#: One row per job with its place, its last outcome and its progress; `{payload}` is left out of
#: lists.
JOBS = """
    SELECT r.id, r.name, coalesce(y.queue, w.queue, r.queue) AS queue, -r.rank, r.created_at,
           r.options, r.tenant, r.user_id, r.locale, {payload},
           coalesce(y.attempts, w.attempts, o.attempt, 0), coalesce(y.crashes, w.crashes, 0),
           {state} AS state, w.due_at, y.claimed_at, coalesce(y.worker, o.worker), y.cancelling,
           o.started_at, o.ended_at, o.error, o.result,
           p.done, p.total, p.unit, p.message, p.warnings
      FROM job_records r
      LEFT JOIN job_ready y ON y.id = r.id
      LEFT JOIN job_waiting w ON w.id = r.id
      LEFT JOIN job_outcomes o
        ON o.seq = (SELECT max(l.seq) FROM job_outcomes l WHERE l.id = r.id)
      LEFT JOIN job_progress p ON p.id = r.id
"""
STATE = """CASE WHEN y.id IS NOT NULL
                THEN CASE WHEN y.token IS NULL THEN 'pending' ELSE 'processing' END
                WHEN w.id IS NOT NULL
                THEN CASE WHEN w.blockers > 0 THEN 'blocked' ELSE 'scheduled' END
                ELSE o.ending END"""


def where(which: Filter) -> tuple[str, dict[str, Any]]:
    """The condition on `r` (record) and `o` (last outcome) that a filter stands for, but for
    unfinished states, which `states()` adds."""
    parts = ["1 = 1"]
    values: dict[str, Any] = {}
    if which.queue is not None:
        parts.append("r.queue = :queue")
        values["queue"] = which.queue
    if which.name is not None:
        parts.append("r.name = :name")
        values["name"] = which.name
    if which.owner is not None:
        parts.append("r.tenant IS :tenant AND r.user_id IS :user_id")
        values |= {"tenant": which.owner.tenant, "user_id": which.owner.user}
    if which.ended_before is not None:
        parts.append(f"o.ended_at < :ended_before AND o.ending IN {_ENDED}")
        values["ended_before"] = which.ended_before
    endings = [state.value for state in which.states if state.value in _ENDINGS]
    if endings and len(endings) == len(which.states):
        parts.append(f"o.ending IN ({', '.join(repr(ending) for ending in endings)})")
    return " AND ".join(parts), values


def jobs(which: Filter, *, payload: bool = False) -> tuple[str, dict[str, Any]]:
    """A select of the jobs that match, to be ordered and limited."""
    condition, values = where(which)
    states = ", ".join(f"'{state.value}'" for state in which.states)
    if which.states == (State.FAILED,):
        condition += " AND r.id IN (SELECT f.id FROM job_outcomes f WHERE f.ending = 'failed')"
    if states:
        condition += f" AND {STATE} IN ({states})"
    select = JOBS.format(payload="r.payload" if payload else "x''", state=STATE)
    return f"{select} WHERE {condition}", values


def record(row: tuple[Any, ...]) -> JobRecord:
    """A row of JOBS as a record."""
    (
        job_id,
        name,
        queue,
        priority,
        created_at,
        options,
        tenant,
        user,
        locale,
        payload,
        attempts,
        crashes,
        state,
        due_at,
        claimed_at,
        worker,
        cancelling,
        started_at,
        ended_at,
        error,
        result,
        done,
        total,
        unit,
        message,
        warnings,
    ) = row
    return JobRecord(
        id=job_id,
        name=name,
        queue=queue,
        state=State(state),
        priority=priority,
        created_at=created_at,
        attempts=attempts,
        crashes=crashes,
        options=options,
        tenant=tenant,
        user=user,
        locale=locale,
        due_at=due_at,
        claimed_at=claimed_at,
        worker=worker,
        cancelling=bool(cancelling),
        started_at=started_at,
        ended_at=ended_at,
        error=decode_error(error),
        result=result,
        progress=Progress() if done is None else Progress(done, total, unit, message, warnings),
        payload=payload,
    )


def decode_error(raw: str | None) -> ErrorInfo | None:
    return None if raw is None else msgspec.json.decode(raw, type=ErrorInfo)


_ENDINGS = frozenset({"completed", "failed", "cancelled"})
_ENDED = "('completed', 'failed', 'cancelled')"
