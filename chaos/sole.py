"""`python -m chaos.sole`: an application of whose jobs one is alive for each key. Threads dispatch
them all the time: plainly, in a transaction that commits, and in one that is rolled back."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import threading
import time
from typing import Any

from chaos.app import jobs, mark
from chaos.claiming import writer
from chaos.ledger import DISPATCHED, ENDED, ROLLED_BACK, SKIPPED, STARTED, Effect
from tabur import JobContext, JobHandle
from tabur.model.ids import id_bytes

#: One dispatch in so many stands in a transaction, and every other one of those is rolled back.
IN_SESSION = 3


@jobs.job(unique="key", tries=3)
async def sole(ctx: JobContext, key: int, ms: int = 0) -> None:
    mark(STARTED, ctx, key)
    await asyncio.sleep(ms / 1000)
    mark(ENDED, ctx, key)


class Rivals:
    """Who dispatches jobs of the same keys, until told to stop."""

    def __init__(self, keys: int, *, ms: int) -> None:
        self._keys = keys
        self._ms = ms
        self._engine = None if os.environ["QUEUE_CONNECTION"] == "redis" else _engine()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.is_set():
            key = random.randrange(self._keys)
            if self._engine is not None and random.randrange(IN_SESSION) == 0:
                self._in_session(key)
            else:
                self.dispatch(key)
            time.sleep(random.random() * 0.02)

    def dispatch(self, key: int) -> JobHandle[None]:
        handle = sole.dispatch(key, random.randint(0, self._ms))
        _note(SKIPPED if handle.was_skipped else DISPATCHED, key, handle)
        return handle

    def _in_session(self, key: int) -> None:
        from sqlalchemy.exc import DBAPIError

        assert self._engine is not None
        keeps = random.random() < 0.5
        try:
            with self._engine.connect() as connection, connection.begin() as transaction:
                handle = sole.options(session=connection).dispatch(key, self._ms)
                time.sleep(random.random() * 0.01)
                if not keeps:
                    transaction.rollback()
        except DBAPIError:
            return  # a deadlock, say: the caller's own client tells, and nothing was done
        if keeps:
            _note(SKIPPED if handle.was_skipped else DISPATCHED, key, handle)
        elif not handle.was_skipped:
            _note(ROLLED_BACK, key, handle)
            self.dispatch(key)  # free at once, unless a rival was quicker


def _note(what: int, key: int, handle: JobHandle[Any]) -> None:
    at, job = time.monotonic_ns(), id_bytes(handle.id)
    writer("effects").effect(Effect(what, key, 0, os.getpid(), at, bytes(16), job))


def _engine() -> Any:
    from sqlalchemy import create_engine

    engine = create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)
    jobs.install(engine)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos.sole")
    parser.add_argument("--keys", type=int, required=True)
    parser.add_argument("--threads", type=int, default=0, help="0: each key once")
    parser.add_argument("--ms", type=int, default=0, help="longest run of a job")
    given = parser.parse_args()
    rivals = Rivals(given.keys, ms=given.ms)
    if not given.threads:
        print("skipped", sum(rivals.dispatch(key).was_skipped for key in range(given.keys)))
    else:
        signal.signal(signal.SIGTERM, lambda *_: rivals.stopping.set())
        threads = [threading.Thread(target=rivals.run) for _ in range(given.threads)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    jobs.close()


if __name__ == "__main__":
    main()
