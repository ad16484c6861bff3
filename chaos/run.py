"""One run: a place for its files, workers and dispatchers as processes, and waiting."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import count as counting_from
from itertools import islice
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from chaos import ledger, numbering
from chaos.counting import Count, Pace
from chaos.feeding import Brought, Feed, Feeder, mixed
from chaos.ledger import ENDED, Effect
from chaos.numbering import STRETCH
from chaos.runs import accepted_ends
from chaos.watch import Watch
from chaos.workers import ROOT, Stuck, Workers, start_process, stop_process
from tabur import JobContext, State, Tabur
from tabur.drivers.contract import Driver, Filter
from tabur.model.batches import NewBatch
from tabur.model.states import FINISHED

#: Seconds that anything may take on a busy machine: a ceiling, no target.
CEILING = 90.0
#: Where the numbers begin of what is brought from here, behind those of dispatchers.
BROUGHT = 50 * STRETCH


class Run:
    """The store at `url`, migrated, with all the processes that use it. They end with it.

    `environment` of all of them. `watched`: the moment at which each process ends is noted.
    `empty`: it is left to somebody else to migrate.
    """

    def __init__(
        self,
        place: Path,
        url: str,
        *,
        environment: Mapping[str, str] | None = None,
        watched: bool = False,
        empty: bool = False,
    ) -> None:
        self.place = place
        self._is_redis = url.startswith("redis")
        address = {"REDIS_URL": url} if self._is_redis else {"DATABASE_URL": url}
        prefix = {"REDIS_PREFIX": uuid4().hex[:8]} if self._is_redis else {}  # servers are shared
        connection = "redis" if self._is_redis else "database"
        self._environment = {
            **address,
            **prefix,
            "QUEUE_CONNECTION": connection,
            "CHAOS_PLACE": str(place),
            **(environment or {}),
        }
        self._url = url
        settings = {name.lower(): value for name, value in {**address, **prefix}.items()}
        self._app = Tabur(connection, **settings)
        self._open = ExitStack()
        self._is_left_empty = empty
        self._dispatchers: list[subprocess.Popen[bytes]] = []
        self._feeder: Feeder | None = None
        self._numbers = counting_from(BROUGHT + 1)
        self._lock = threading.Lock()
        self._watch = Watch(place) if watched else None
        self.workers: list[Workers] = []
        self.books = not self._is_redis and hasattr(JobContext, "transaction")
        """Whether jobs may write rows through `ctx.transaction()` here."""

    @property
    def driver(self) -> Driver:
        return self._app.driver

    @property
    def gone(self) -> Mapping[int, int]:
        """When processes ended: monotonic nanoseconds."""
        assert self._watch is not None, "not watched"
        return self._watch.gone

    def __enter__(self) -> Self:
        self._open.callback(self._app.close)
        if not self._is_left_empty:
            self._app.migrate()
        if not self._is_redis:
            self._make_tables()
        if self._watch is not None:
            self._watch.start()
            self._open.callback(self._watch.stop)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # what works

    def host(
        self,
        *,
        processes: int = 1,
        slots: int = 50,
        app: str = "chaos.app:jobs",
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        inside: Sequence[str] = (),
    ) -> Workers:
        """Starts `tabur queue:work`, and does not wait for it."""
        workers = Workers(
            self.place,
            {**self._environment, **(environment or {})},
            host=f"host-{len(self.workers)}",
            processes=processes,
            slots=slots,
            app=app,
            options=options,
            inside=inside,
        )
        self.workers.append(workers)
        self._open.callback(workers.stop)
        return workers

    def work(self, *, processes: int, slots: int = 50) -> Workers:
        """Starts `tabur queue:work`; returns when each of its processes has asked for work."""
        workers = self.host(processes=processes, slots=slots)
        self.at_work(workers)
        return workers

    def at_work(self, *workers: Workers) -> None:
        """Returns when each process of these has asked for work."""
        for each in workers:
            self.until(partial(getattr, each, "is_at_work"), f"{each.host} at work")

    def tabur(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """One command of an operator, to its end; what it and those before have said."""
        app = ("--app", "chaos.app:jobs")
        return self.python("tabur", *app, *command, environment=environment)

    def python(self, *module: str, environment: Mapping[str, str] | None = None) -> str:
        """Runs a module with its arguments, in a process of its own, to its end."""
        command = [sys.executable, "-m", *module]
        log = self.place / "commands.log"
        process = start_process(command, {**self._environment, **(environment or {})}, log=log)
        if process.wait(CEILING):
            raise Stuck(f"{command} ended with {process.returncode}: {log.read_text('utf-8')}")
        return log.read_text("utf-8")

    def start(self, *module: str, log: str) -> subprocess.Popen[bytes]:
        """Starts a module with its arguments, and does not wait for its end."""
        command = [sys.executable, "-m", *module]
        process = start_process(command, self._environment, log=self.place / log)
        self._open.callback(stop_process, process)
        return process

    # what is dispatched

    def bring(self, jobs: Iterable[Brought], batches: Sequence[NewBatch] = ()) -> dict[int, bytes]:
        """Dispatches from here, in one transaction; answers the ids by number."""
        return self._feeding().bring(jobs, batches)

    def bring_mixed(self, count: int, *, ms: int, queue: str = "default") -> dict[int, bytes]:
        """So many of the usual jobs, each `ms` milliseconds at most."""
        return self.bring(mixed(self.numbers(count), ms=ms, books=self.books, queue=queue))

    def numbers(self, count: int) -> list[int]:
        """So many that nobody has."""
        with self._lock:
            return [*islice(self._numbers, count)]

    def feed(
        self,
        *,
        rate: float,
        ms: int,
        queues: Sequence[str] = ("default",),
        books: bool = True,
    ) -> Feed:
        """So many of the usual jobs a second, from a thread here, on these queues in turn. `books`:
        some of them write rows of their own, where the store can."""
        books = books and self.books
        feed = Feed(self._feeding(), self.numbers, rate=rate, ms=ms, books=books, queues=queues)
        feed.start()
        return feed

    @property
    def booked(self) -> set[int]:
        """What is to have a row in the business table."""
        return self._feeding().booked

    def dispatch(self, *, environment: Mapping[str, str] | None = None, **options: float) -> None:
        """Starts one more application that dispatches: options of `chaos.dispatcher`."""
        options["base"] = len(self._dispatchers) * STRETCH
        process = start_process(
            [
                *(sys.executable, "-m", "chaos.dispatcher"),
                *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
            ],
            {**self._environment, **(environment or {})},
            log=self.place / f"dispatcher-{len(self._dispatchers)}.log",
        )
        self._dispatchers.append(process)
        self._open.callback(stop_process, process)

    def stop_dispatching(self) -> None:
        for process in self._dispatchers:
            process.send_signal(signal.SIGTERM)
        self.dispatched()

    def dispatched(self) -> None:
        """Returns when no dispatcher runs any more."""
        for process in self._dispatchers:
            process.wait(CEILING + 3600)
            if process.returncode:
                raise Stuck(f"A dispatcher ended with {process.returncode}: {self.logs()}")

    def drain(self, *, ceiling: float = CEILING) -> float:
        """Waits until nothing is unfinished; answers the seconds. What never ends is for the count
        to tell: after the ceiling this returns too."""
        began = time.monotonic()
        self._app.close()  # we look with connections that saw no fault
        with contextlib.suppress(Stuck):
            self.until(lambda: self.unfinished() == 0, "drained", ceiling=ceiling)
        return time.monotonic() - began

    # what came of it

    def unfinished(self) -> int:
        return sum(each.size for each in self.driver.inspection.queues())

    def completed(self) -> int:
        """Jobs that have ended well by the store's account; on SQL we ask it ourselves."""
        return self._with_ending(State.COMPLETED)

    def is_finished(self, job: bytes) -> bool:
        found = self.driver.inspection.find(job)
        return found is not None and found.state in FINISHED

    def failed(self) -> int:
        return self._with_ending(State.FAILED)

    def count(self, attempts: Callable[[int], int] = numbering.attempts) -> Count:
        """Where processes are watched, those that ended may have been killed."""
        return Count(
            self.effects(),
            ledger.dispatches(self.place),
            attempts=attempts,
            gone=self._watch.gone if self._watch is not None else None,
            accepted=accepted_ends(ledger.moves(self.place)),
        )

    def effects(self) -> list[Effect]:
        """The ledger's, and the rows that are ends of their jobs."""
        found = ledger.effects(self.place) + self.bookings()
        found.sort(key=lambda each: each.at)
        return found

    def pace(self, what: int = ENDED) -> Pace:
        return Pace(ledger.effects(self.place), what)

    def newest_effect(self) -> int:
        """When (monotonic nanoseconds) a job has last written something."""
        return max((each.at for each in ledger.newest_effects(self.place)), default=0)

    def turns(self) -> list[ledger.Turn]:
        return [turn for those in ledger.turns(self.place).values() for turn in those]

    def exits(self) -> int:
        """How many processes of workers have ended so far: those that are gone with their
        supervisor, and those that another one has followed."""
        followers = len(ledger.turns(self.place)) - sum(each.processes for each in self.workers)
        return followers + sum(each.has_left for each in self.workers)

    def orders(self) -> set[int]:
        """The rows that callers' own transactions have left."""
        with self._engine() as connection:
            return {row[0] for row in connection.exec_driver_sql("SELECT number FROM orders")}

    def orders_astray(self, count: Count) -> int:
        """Rows without their job, and jobs without their row."""
        inside = {n for d in count.dispatches if d.way == "session" for n in d.numbers}
        return len(self.orders() ^ (inside & count.ended))

    def bookings(self) -> list[Effect]:
        """The rows that jobs' own transactions have left."""
        if not self.books:
            return []
        with self._engine() as connection:
            rows = connection.exec_driver_sql(
                "SELECT number, attempt, pid, at, token FROM bookings"
            ).all()
        return [
            Effect(ENDED, number, attempt, pid, at, bytes.fromhex(token))
            for number, attempt, pid, at, token in rows
        ]

    # waiting

    def until(
        self, condition: Callable[[], object], what: str, *, ceiling: float = CEILING
    ) -> None:
        """Looks until it is true; raises Stuck. A store that does not answer is waited for."""
        deadline = time.monotonic() + ceiling
        last: Exception | None = None
        while True:
            try:
                if condition():
                    return
            except Stuck:
                raise
            except Exception as error:
                last = error
            if time.monotonic() > deadline:
                raise Stuck(f"not within {ceiling:.0f} s: {what} ({last})\n{self.logs()}")
            time.sleep(0.02)

    def logs(self) -> str:
        """The end of what workers and dispatchers have said."""
        return "\n".join(
            f"{file.name}: {file.read_text('utf-8', 'replace')[-1500:]}"
            for file in sorted(self.place.glob("*.log"))
        )

    def said(self, *words: str) -> int:
        """How often workers have said one of these."""
        return sum(each.log.count(word) for each in self.workers for word in words)

    def _feeding(self) -> Feeder:
        with self._lock:
            self._feeder = self._feeder or Feeder(self.driver, self.place)
        return self._feeder

    def _with_ending(self, state: State) -> int:
        if self._is_redis:
            which = Filter(states=(state,))
            return self.driver.inspection.count(which, at_most=100_000_000)
        query = f"SELECT count(DISTINCT id) FROM job_outcomes WHERE ending = '{state}'"
        with self._engine() as connection:
            return int(connection.exec_driver_sql(query).scalar())

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Any]:
        from sqlalchemy import NullPool, create_engine

        engine = create_engine(self._url, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection

    def _make_tables(self) -> None:
        bookings = "number BIGINT, attempt INTEGER, pid INTEGER, at BIGINT, token CHAR(32)"
        with self._engine() as connection:
            connection.exec_driver_sql("CREATE TABLE orders (number BIGINT PRIMARY KEY)")
            connection.exec_driver_sql(f"CREATE TABLE bookings ({bookings})")


__all__ = ["ROOT", "Run", "Stuck"]
