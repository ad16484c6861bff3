"""The states of a job and the moves between them: the one table that code, tests and docs share."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Isolation(StrEnum):
    """Where a job runs: on the event loop, in a thread, or in a process of its own."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


FINISHED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})

#: from → to, with the reason a person would give for the move.
MOVES: dict[tuple[State, State], str] = {
    (State.PENDING, State.BLOCKED): "taken out, to be moved into another store",
    (State.SCHEDULED, State.BLOCKED): "taken out, to be moved into another store",
    (State.BLOCKED, State.PENDING): "the last job it waited for completed",
    (State.BLOCKED, State.SCHEDULED): "unblocked before its time",
    (State.BLOCKED, State.CANCELLED): "called back, or what it waited for failed",
    (State.SCHEDULED, State.PENDING): "promoted: its time has come",
    (State.SCHEDULED, State.CANCELLED): "called back",
    (State.PENDING, State.SCHEDULED): "put off: another one came under its unique key",
    (State.PENDING, State.PROCESSING): "claimed by a worker",
    (State.PENDING, State.CANCELLED): "called back",
    (State.PROCESSING, State.PENDING): "released, retried at once, or rescued from a dead worker",
    (State.PROCESSING, State.SCHEDULED): "released or retried with a delay",
    (State.PROCESSING, State.COMPLETED): "ran to its end",
    (State.PROCESSING, State.FAILED): "failed for good",
    (State.PROCESSING, State.CANCELLED): "stopped because its owner asked",
    (State.FAILED, State.PENDING): "retried by an operator",
    (State.CANCELLED, State.PENDING): "retried by an operator",
    (State.FAILED, State.BLOCKED): "retried while what it waits for has not completed",
    (State.CANCELLED, State.BLOCKED): "what it waits for is tried again",
}


def allowed(source: State, target: State) -> bool:
    return (source, target) in MOVES
