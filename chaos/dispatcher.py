"""`python -m chaos.dispatcher`: an application that dispatches at a rate, whatever happens to its
store, and writes down what each dispatch came to.

Most are plain (`dispatch`, `dispatch_many`). Some are *insistent*: with idempotency keys, and
repeated until they are done. Where `DATABASE_URL` is the store, some stand in the caller's own
transaction together with a row of the caller's own table `orders`.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

from chaos.app import heavy, jobs, light
from chaos.claiming import writer
from chaos.ledger import DONE, REFUSED, UNCLEAR, UNKNOWN, Dispatch
from chaos.numbering import STRETCH, is_heavy
from tabur import PendingJob
from tabur.errors import StoreUnavailable, StoreUnreachable

#: Seconds that it may be behind; what it could not offer by then is never offered.
LATE = 1.0
#: One dispatch in so many is insistent, and one in so many is in the caller's transaction.
INSISTENT, IN_SESSION = 12, 6
PLAIN, INSISTS, SESSION = "plain", "insistent", "session"


class Dispatcher:
    def __init__(
        self, base: int, rate: float, *, at_once: int, ms: int, delay: float = 0.0
    ) -> None:
        self._next = base
        self._rate = rate
        self._at_once = at_once
        self._ms = ms
        self._delay = delay
        self._stopping = False
        self._engine = None if os.environ["QUEUE_CONNECTION"] == "redis" else _engine()

    def stop(self, *_: object) -> None:
        self._stopping = True

    def run(self, *, seconds: float, at_most: int) -> None:
        """Returns when the time is over, all are offered, or it was told to stop."""
        began = time.monotonic()
        ends, offered = began + seconds, 0
        while not self._stopping and offered < at_most and (now := time.monotonic()) < ends:
            due = int((now - began) * self._rate) - offered
            if due > self._rate * LATE:
                began += due / self._rate - LATE  # those are never offered
                continue
            wanted = min(random.randint(1, 2 * self._at_once - 1), at_most - offered)
            if due < wanted:
                time.sleep((wanted - due) / self._rate)
            self._dispatch(wanted)
            offered += wanted

    def _dispatch(self, count: int) -> None:
        first, self._next = self._next, self._next + count
        if self._delay:
            way = PLAIN
        elif self._engine is not None and random.randrange(IN_SESSION) == 0:
            way = SESSION
        else:
            way = INSISTS if random.randrange(INSISTENT) == 0 else PLAIN
        send = {PLAIN: self._plain, INSISTS: self._keyed, SESSION: self._in_session}[way]
        began, tries = time.monotonic_ns(), 0
        while True:
            tries += 1
            verdict, error = _verdict(lambda: send(range(first, first + count)))
            if way != INSISTS or verdict in (DONE, UNCLEAR) or self._stopping:
                break
            time.sleep(0.05)
        took = time.monotonic_ns() - began
        writer("dispatches").dispatch(
            Dispatch(first, count, way, verdict, error, began, took, tries)
        )

    def _pending(self, number: int) -> PendingJob[None]:
        job = heavy if is_heavy(number) else light
        pending = job(number=number, ms=random.randint(0, self._ms))
        if self._delay:
            return pending.options(delay=self._delay, backoff=self._delay)
        return pending

    def _plain(self, numbers: range) -> None:
        if len(numbers) == 1:
            self._pending(numbers[0]).dispatch()
        else:
            jobs.dispatch_many(map(self._pending, numbers))

    def _keyed(self, numbers: range) -> None:
        # The body under a key must stay the same: no length by chance.
        jobs.dispatch_many(
            light(number=number).options(idempotency_key=str(number)) for number in numbers
        )

    def _in_session(self, numbers: range) -> None:
        from sqlalchemy import text

        insert = text("INSERT INTO orders (number) VALUES (:number)")
        assert self._engine is not None
        with self._engine.begin() as connection:
            connection.execute(insert, [{"number": number} for number in numbers])
            jobs.dispatch_many(
                self._pending(number).options(session=connection) for number in numbers
            )


def _verdict(send: Callable[[], None]) -> tuple[str, str]:
    try:
        send()
    except StoreUnreachable as error:
        return REFUSED, str(error)
    except StoreUnavailable as error:
        return UNKNOWN, str(error)
    except Exception as error:
        # In the caller's own transaction the caller's own client speaks, which is clear to them.
        verdict = UNKNOWN if type(error).__module__.startswith("sqlalchemy.") else UNCLEAR
        return verdict, f"{type(error).__name__}: {error}"
    return DONE, ""


def _engine() -> Any:
    from sqlalchemy import create_engine

    engine = create_engine(os.environ["DATABASE_URL"], pool_pre_ping=True)
    jobs.install(engine)
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos.dispatcher")
    parser.add_argument("--base", type=int, required=True, help="number of the first job")
    parser.add_argument("--rate", type=float, required=True, help="jobs a second")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--jobs", type=int, default=STRETCH, help="how many at most")
    parser.add_argument("--at-once", type=int, default=10, help="jobs in a dispatch, on average")
    parser.add_argument("--ms", type=int, default=5, help="longest run of a job")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds, before each attempt")
    given = parser.parse_args()
    dispatcher = Dispatcher(
        given.base, given.rate, at_once=given.at_once, ms=given.ms, delay=given.delay
    )
    signal.signal(signal.SIGTERM, dispatcher.stop)
    dispatcher.run(seconds=given.seconds, at_most=given.jobs)
    jobs.close()


if __name__ == "__main__":
    main()
