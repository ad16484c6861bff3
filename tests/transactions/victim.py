"""Workers that kill themselves, each at one place of its jobs' transaction:
`python -m tests.transactions.victim URL CLIENT KIND`, and then the places on standard input, a line
each. Answered by the signal that ended it, or 0: there is no such place.

What takes long is imported once; a worker is forked from that, while there are no threads."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from sqlalchemy import event

from tabur import JobContext
from tests.transactions.bench import Bench


class Victim:
    """Dies at the place with this number, of those before and after each statement and commit that
    comes after `watch`."""

    def __init__(self, place: int) -> None:
        self._left = place
        self._watching = False

    def watch(self, _: JobContext) -> None:
        self._watching = True

    def watch_the_second(self, bench: Bench) -> None:
        self._watching = bench.orders() > 0

    def look(self, *_: object) -> None:
        if not self._watching:
            return
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def main(url: str, client: str, kind: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            work(url, client, kind, int(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{-os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def work(url: str, client: str, kind: str, place: int) -> None:
    bench = Bench(url, None, None if client == "-" else client)
    bench.jobs.install(bench.engine)
    victim, engine = Victim(place), bench.callers_engine
    for each in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(engine, each, victim.look)
    committed = engine.dialect.do_commit

    def commit(raw: Any) -> None:
        committed(raw)
        victim.look()

    engine.dialect.do_commit = commit  # type: ignore[assignment,method-assign]  # dies before it has the answer
    if kind == "order":
        bench.orders_job(before=victim.watch, after=victim.look)
    else:
        bench.imports_job(
            chunks=2, between=lambda ctx: victim.watch(ctx) if bench.orders() else None
        )
    bench.work("w1")


if __name__ == "__main__":
    main(*sys.argv[1:])
