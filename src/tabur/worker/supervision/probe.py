"""Whether the workers of a host are well, judged from outside by what they leave in their run
folder: neither their store nor the app is asked.

*Alive* asks whether a restart would help: a process hangs, or is deaf to a store that answers
others. A store that is down is no reason for one. *Ready* asks whether jobs are being worked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic

import msgspec

from tabur.worker.board import Doing, Seen
from tabur.worker.load import LOADING
from tabur.worker.supervision.folder import About, boards, own_board, supervisors


class ProcessSeen(msgspec.Struct, frozen=True):
    """A worker process. `looked` and `polled`: seconds since its main thread looked after things,
    and since the store answered it; None: not yet. `wrong`: why it is not well."""

    pid: int
    worker: str
    doing: str
    looked: float | None
    polled: float | None
    running: int
    ended: int
    wrong: str | None


class SupervisorSeen(msgspec.Struct, frozen=True):
    """A supervisor and its processes. `wanted`: how many it keeps; `wrong`: why it is not well
    itself; `unready`: why nothing is worked."""

    pid: int
    app: str
    connection: str
    queues: tuple[str, ...]
    wanted: int
    looked: float | None
    polled: float | None
    wrong: str | None
    unready: str | None
    processes: tuple[ProcessSeen, ...]

    @property
    def is_alive(self) -> bool:
        return self.wrong is None and all(each.wrong is None for each in self.processes)

    @property
    def is_ready(self) -> bool:
        return self.is_alive and self.unready is None


class HostSeen(msgspec.Struct, frozen=True):
    """The supervisors of this host. `elsewhere`: other hosts that share the folder."""

    alive: bool
    ready: bool
    supervisors: tuple[SupervisorSeen, ...]
    elsewhere: tuple[str, ...]


def probe(base: Path, *, within: float) -> HostSeen:
    """Look once. `within`: seconds in which each process has to have looked, and polled."""
    here: list[SupervisorSeen] = []
    elsewhere: set[str] = set()
    for about, folder, lives in supervisors(base):
        if not about.is_here:
            elsewhere.add(about.host)
            continue
        with suppress(OSError, ValueError):  # it has just ended
            own, children = own_board(folder), boards(folder) if lives else {}
            now = monotonic()
            here.append(judged(about, own, children, lives=lives, now=now, within=within))
    return HostSeen(
        alive=bool(here) and all(each.is_alive for each in here),
        ready=bool(here) and all(each.is_ready for each in here),
        supervisors=tuple(here),
        elsewhere=tuple(sorted(elsewhere)),
    )


def judged(
    about: About,
    own: Seen,
    children: Mapping[str, Seen],
    *,
    lives: bool,
    now: float,
    within: float,
) -> SupervisorSeen:
    """What its boards tell of one supervisor, `now` on the machine's monotonic clock."""
    wrong = None
    if not lives:
        wrong = "was killed, and none was started since"
    elif now - own.looked_at > within:
        wrong = f"has not looked after its processes for {_span(now - own.looked_at)}"
    return SupervisorSeen(
        pid=about.pid,
        app=about.app,
        connection=about.connection,
        queues=about.queues,
        wanted=about.processes,
        looked=_since(own.looked_at, now),
        polled=_since(own.turned_at, now),
        wrong=wrong,
        unready=_unready(about, own, children.values(), now=now, within=within),
        processes=tuple(
            ProcessSeen(
                pid=board.pid,
                worker=worker,
                doing=board.doing.name.lower(),
                looked=_since(board.looked_at, now),
                polled=_since(board.turned_at, now),
                running=board.running,
                ended=board.ended,
                wrong=_wrong(board, own.turned_at, now=now, within=within, pause=about.pause),
            )
            for worker, board in children.items()
        ),
    )


def _wrong(board: Seen, answered: float, *, now: float, within: float, pause: float) -> str | None:
    """Why a child is not well. `answered`: when the store last answered its supervisor."""
    silent = now - board.looked_at
    if board.doing is Doing.STARTING and silent > max(LOADING, within):
        return f"has been loading the app for {_span(silent)}"
    if board.doing is not Doing.STARTING and silent > within:
        return f"has not looked after its jobs for {_span(silent)}"
    # By how much longer the supervisor has had answers, and not by the clock: when the store is
    # down, they become deaf together.
    heard = board.turned_at or board.since
    if board.doing is Doing.WORKING and answered - heard > within + pause:
        return f"has not polled for {_span(now - heard)}, while the store answers its supervisor"
    return None


def _unready(
    about: About, own: Seen, children: Collection[Seen], *, now: float, within: float
) -> str | None:
    if now - own.turned_at > within + about.beat:
        silent = f"for {_span(now - own.turned_at)}" if own.turned_at else "yet"
        return f"the store has not answered {silent}"
    if own.doing is Doing.ENDING:
        return f"it is stopping ({own.why})"
    begun = any(
        each.doing in (Doing.WORKING, Doing.RETIRING) and each.turned_at for each in children
    )
    # Where processes come and go with what there is to do, none may be right.
    return None if begun or not about.processes else "no process has begun to work"


def _since(moment: float, now: float) -> float | None:
    return max(0.0, now - moment) if moment else None


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s"
