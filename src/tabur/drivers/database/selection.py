"""Filters as conditions, and whole jobs as one select."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

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
_JOINED = """
      LEFT JOIN job_ready y ON y.id = r.id
      LEFT JOIN job_waiting w ON w.id = r.id
      LEFT JOIN job_outcomes o
        ON o.seq = (SELECT max(l.seq) FROM job_outcomes l WHERE l.id = r.id)
      LEFT JOIN job_progress p ON p.id = r.id
"""


def where(which: Filter) -> tuple[str, dict[str, Any]]:
    """The condition on `r` (record) and `o` (last outcome) that a filter stands for, but for
    states; and its values in their order."""
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
    if which.batch is not None:
        parts.append("EXISTS (SELECT 1 FROM job_members m WHERE m.batch = :batch AND m.job = r.id)")
        values["batch"] = which.batch
    if which.tenant is not None:
        equal("r.tenant", "of_tenant", which.tenant)
    if which.ended_before is not None:
        parts.append(f"o.ended_at < :ended_before AND o.ending IN {_ENDED}")
        values["ended_before"] = which.ended_before
    if which.ended_since is not None:
        parts.append(f"o.ended_at >= :ended_since AND o.ending IN {_ENDED}")
        values["ended_since"] = which.ended_since
    return " AND ".join(parts), values


def jobs(
    which: Filter, columns: str, *, above: int | None = None
) -> tuple[str, dict[str, Any], str]:
    """A select of the jobs that match, to be limited; and the id by which it is to be ordered. Of
    finished jobs, those alone whose last outcome has a number above `above`."""
    condition, values = where(which)
    source, states = _source(which.states)
    if above is not None:
        # Bounded, so that no engine opens it up and begins elsewhere.
        latest = f"SELECT id, seq FROM job_outcomes WHERE seq > :above ORDER BY seq LIMIT {_MOST}"
        values = {"above": above} | values
        query = (
            f"SELECT {columns} FROM ({latest}) n CROSS JOIN job_records r {_JOINED}"
            f" WHERE {condition} AND r.id = n.id AND n.seq = o.seq AND {_in(which.states)}"
        )
        # By a column alone, an engine walks all records in its order to save the sort of a few.
        return query, values, "coalesce(n.id, r.id)"
    if which.batch is not None:
        # Its members lead, in the order of pages.
        condition, values = where(replace(which, batch=None))
        source = "job_members m CROSS JOIN job_records r"
        states = _in(which.states) if which.states else "1 = 1"
        query = (
            f"SELECT {columns} FROM {source} {_JOINED}"
            f" WHERE {condition} AND {states} AND m.batch = :batch AND r.id = m.job"
        )
        return query, values | {"batch": which.batch}, "m.job"
    query = f"SELECT {columns} FROM {source} {_JOINED} WHERE {condition} AND {states}"
    return query, values, f"{source.split()[1]}.id"


def _source(states: tuple[State, ...]) -> tuple[str, str]:
    """From where to begin, and the condition that stands for the states."""
    if not states:
        return "job_records r", "1 = 1"
    for table, conditions in _NARROW.items():
        if conditions.keys() >= set(states):
            wanted = " OR ".join(conditions[state] for state in states)
            return f"{table} n CROSS JOIN job_records r", f"r.id = n.id AND ({wanted})"
    return "job_records r", _in(states)


def _in(states: tuple[State, ...]) -> str:
    wanted = ", ".join(f"'{state.value}'" for state in states or FINISHED)
    return f"{STATE} IN ({wanted})"


#: Where the jobs of some states stand, few among millions that have finished, and how they are told
#: from others there. These tables lead, in the order of pages: looking each job up in them instead
#: multiplies two large numbers. (No job has two outcomes that say failed.)
_NARROW = {
    "job_ready": {State.PENDING: "n.token IS NULL", State.PROCESSING: "n.token IS NOT NULL"},
    "job_waiting": {State.SCHEDULED: "n.blockers = 0", State.BLOCKED: "n.blockers <> 0"},
    "job_outcomes": {State.FAILED: "n.ending = 'failed'"},
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


_MOST = 2**62
_ENDED = "('completed', 'failed', 'cancelled')"
