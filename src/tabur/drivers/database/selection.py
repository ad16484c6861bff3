"""Filters as conditions, and whole jobs as one select."""

from __future__ import annotations

from typing import Any

import msgspec

from tabur.drivers.contract import Filter
from tabur.model.records import ErrorInfo, JobRecord, Progress
from tabur.model.states import FINISHED, State

#: One row per job with its place, its last outcome and its progress.
COLUMNS = """
    r.id, r.name, coalesce(y.queue, w.queue, r.queue), -r.rank, r.created_at, r.options, r.tenant,
    r.user_id, r.locale, coalesce(y.attempts, w.attempts, o.attempt, 0),
    coalesce(y.crashes, w.crashes, 0), {state}, w.due_at, y.claimed_at,
    coalesce(y.worker, o.worker), y.cancelling, o.started_at, o.ended_at, o.error, o.result,
    p.done, p.total, p.unit, p.message, p.warnings
"""
STATE = """CASE WHEN y.id IS NOT NULL
                THEN CASE WHEN y.token IS NULL THEN 'pending' ELSE 'processing' END
                WHEN w.id IS NOT NULL
                THEN CASE WHEN w.blockers = 0 THEN 'scheduled' ELSE 'blocked' END
                ELSE o.ending END"""
_FROM = """
      FROM job_records r
      LEFT JOIN job_ready y ON y.id = r.id
      LEFT JOIN job_waiting w ON w.id = r.id
      LEFT JOIN job_outcomes o
        ON o.seq = (SELECT max(l.seq) FROM job_outcomes l WHERE l.id = r.id)
      LEFT JOIN job_progress p ON p.id = r.id
"""


def where(which: Filter) -> tuple[str, dict[str, Any]]:
    """The condition on `r` (record) and `o` (last outcome) that a filter stands for, but for
    unfinished states, which `jobs` adds; and its values in their order."""
    parts = ["1 = 1"]
    values: dict[str, Any] = {}

    def equal(column: str, name: str, value: object) -> None:
        if value is None:
            parts.append(f"{column} IS NULL")
        else:
            parts.append(f"{column} = :{name}")
            values[name] = value

    if which.queue is not None:
        equal("r.queue", "queue", which.queue)
    if which.name is not None:
        equal("r.name", "name", which.name)
    if which.owner is not None:
        equal("r.tenant", "tenant", which.owner.tenant)
        equal("r.user_id", "user_id", which.owner.user)
    if which.ended_before is not None:
        parts.append(f"o.ended_at < :ended_before AND o.ending IN {_ENDED}")
        values["ended_before"] = which.ended_before
    endings = [state.value for state in which.states if state in FINISHED]
    if endings and len(endings) == len(which.states):
        parts.append(f"o.ending IN ({', '.join(repr(ending) for ending in endings)})")
    return " AND ".join(parts), values


def jobs(which: Filter, columns: str) -> tuple[str, dict[str, Any]]:
    """A select of the jobs that match, to be ordered and limited."""
    condition, values = where(which)
    if which.states:
        wanted = ", ".join(f"'{state.value}'" for state in which.states)
        condition += f" AND {STATE} IN ({wanted})"
    for states, ids in _NARROW.items():
        if which.states and states.issuperset(which.states):
            condition += f" AND r.id IN ({ids})"
    return f"SELECT {columns} {_FROM} WHERE {condition}", values


#: Where the jobs of some states stand: few among millions that have finished.
_NARROW = {
    frozenset({State.PENDING, State.PROCESSING}): "SELECT n.id FROM job_ready n",
    frozenset({State.SCHEDULED, State.BLOCKED}): "SELECT n.id FROM job_waiting n",
    frozenset({State.FAILED}): "SELECT n.id FROM job_outcomes n WHERE n.ending = 'failed'",
}


def record(row: tuple[Any, ...]) -> JobRecord:
    """A row of COLUMNS, perhaps with the payload behind, as a record."""
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
        *payload,
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
        payload=payload[0] if payload else b"",
    )


def decode_error(raw: str | None) -> ErrorInfo | None:
    return None if raw is None else msgspec.json.decode(raw, type=ErrorInfo)


_ENDED = "('completed', 'failed', 'cancelled')"
