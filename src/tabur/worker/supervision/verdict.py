"""Whether a child may live on: judged by what its board shows and by when the store last answered,
with every moment an argument."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import msgspec

from tabur.model.records import Crash, ErrorInfo
from tabur.worker.board import Doing, Seen
from tabur.worker.load import LOADING
from tabur.worker.options import WorkOptions

#: What a child may take to end once its grace is over (seconds).
EXIT_TIME = 10.0
#: Seconds: a child whose main thread has not looked for so long is frozen, if a job of it is over
#: its time by so long. A busy machine is slow, but not that slow.
FROZEN, OVERDUE = 4.0, 2.0
#: Seconds without an answer of the store to a child, while it answers its supervisor.
DEAF = 60.0


class Verdict(msgspec.Struct, frozen=True):
    """It must die: why, and who is to be blamed; None: nobody, its jobs run again uncharged."""

    why: str
    crash: Crash | None = None


def judged(
    board: Seen,
    overdue: Callable[[float], frozenset[bytes]],
    shared: Callable[[], frozenset[bytes]],
    options: WorkOptions,
    *,
    now: float,
    last_beat: float,
    kill_by: float | None,
    awake_since: float,
) -> Verdict | None:
    """None: it lives on. `overdue` answers its jobs that had to be over at a moment, `shared` those
    that run in it and not in a process of their own; moments are seconds of the machine's monotonic
    clock. `awake_since`: when its judge last stood still, and it too for all that is known."""
    if now > min(kill_by or inf, board.ends_by + EXIT_TIME if board.ends_by else inf):
        return Verdict("it has not ended in time")
    looked_at = max(board.looked_at, awake_since)
    if board.doing is Doing.STARTING and board.looked_at and now - looked_at > LOADING:
        return Verdict(f"it has been loading the app for {LOADING:.0f} s")
    if board.looked_at and now - looked_at > FROZEN and (late := overdue(now - OVERDUE)):
        return Verdict(
            f"it is frozen, with {len(late)} of its jobs over their time",
            Crash(ErrorInfo("JobCrashed", _FROZEN), blamed=late & shared()),
        )
    deaf = max(DEAF, 2 * options.lost, 2 * options.rest, 2 * options.sleep)
    # Its first turn may be the one that hangs. Who still loads the app has not asked anything.
    answered = board.turned_at or board.since or now
    if now - max(answered, awake_since) > deaf and now - last_beat < deaf / 4:
        return Verdict(f"the store has not answered it for {deaf:.0f} s, and answers others")
    return None


_FROZEN = (
    "It was over its time in a worker process that was frozen: a call into C that lets no other "
    "thread run. The process was killed."
)
