"""One run: a place for its files, workers and dispatchers as processes, and waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from chaos import ledger
from chaos.counting import SECOND, Count, Pace, counted
from chaos.numbering import STRETCH
from tabur import State, Tabur
from tabur.drivers.contract import Driver, Filter

ROOT = Path(__file__).resolve().parent.parent
FOREIGN = ("QUEUE_", "DATABASE_", "REDIS_", "TABUR_")
#: Seconds that anything may take on a busy machine: a ceiling, no target.
CEILING = 90.0


class Stuck(Exception):
    """What was waited for never came."""


class Run:
    """The store at `url`, migrated, with all the processes that use it. They end with it."""

    def __init__(self, place: Path, url: str) -> None:
        self.place = place
        connection = "redis" if url.startswith("redis") else "database"
        address = {"REDIS_URL" if connection == "redis" else "DATABASE_URL": url}
        self._environment = {**address, "QUEUE_CONNECTION": connection, "CHAOS_PLACE": str(place)}
        self._url = url
        self._app = Tabur(connection, **{name.lower(): value for name, value in address.items()})
        self._open = ExitStack()
        self._dispatchers: list[subprocess.Popen[bytes]] = []
        self.workers: list[Workers] = []

    @property
    def driver(self) -> Driver:
        return self._app.driver

    def __enter__(self) -> Self:
        self._open.callback(self._app.close)
        self._app.migrate()
        if not self._url.startswith("redis"):
            self._make_orders()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def work(self, *, processes: int, slots: int = 50) -> Workers:
        """Starts `tabur queue:work`; returns when each of its processes has asked for work."""
        workers = Workers(self, processes, slots, len(self.workers))
        self.workers.append(workers)
        self._open.callback(workers.stop)
        expected = sum(each.processes for each in self.workers)
        self.until(
            lambda: workers.refuse_dead() and len(ledger.turns(self.place)) >= expected,
            "workers at work",
        )
        return workers

    def dispatch(self, **options: float) -> None:
        """Starts one more application that dispatches: options of `chaos.dispatcher`."""
        options["base"] = len(self._dispatchers) * STRETCH
        process = _start(
            [
                *(sys.executable, "-m", "chaos.dispatcher"),
                *(f"--{name.replace('_', '-')}={value}" for name, value in options.items()),
            ],
            self._environment,
            log=self.place / f"dispatcher-{len(self._dispatchers)}.log",
        )
        self._dispatchers.append(process)
        self._open.callback(_stop, process)

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

    def unfinished(self) -> int:
        return sum(each.size for each in self.driver.inspection.queues())

    def completed(self) -> int:
        """Jobs that have ended well by the store's account; on SQL we ask it ourselves."""
        if self._url.startswith("redis"):
            which = Filter(states=(State.COMPLETED,))
            return self.driver.inspection.count(which, at_most=100_000_000)
        query = "SELECT count(DISTINCT id) FROM job_outcomes WHERE ending = 'completed'"
        with self._engine() as connection:
            return int(connection.exec_driver_sql(query).scalar())

    def count(self) -> Count:
        return counted(self.place)

    def pace(self, what: int = ledger.ENDED) -> Pace:
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

    @property
    def environment(self) -> Mapping[str, str]:
        return self._environment

    @contextlib.contextmanager
    def _engine(self) -> Iterator[Any]:
        from sqlalchemy import NullPool, create_engine

        engine = create_engine(self._url, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection

    def _make_orders(self) -> None:
        with self._engine() as connection:
            connection.exec_driver_sql("CREATE TABLE orders (number BIGINT PRIMARY KEY)")


class Workers:
    """`tabur queue:work` with its processes, as a user starts it."""

    def __init__(self, run: Run, processes: int, slots: int, number: int) -> None:
        self.processes = processes
        self._log = run.place / f"worker-{number}.log"
        self._process = _start(
            [
                *(sys.executable, "-m", "tabur", "--app", "chaos.app:jobs", "queue:work"),
                *("--quiet", f"--processes={processes}", f"--concurrency={slots}"),
            ],
            run.environment,
            log=self._log,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def refuse_dead(self) -> bool:
        """Raises Stuck where the supervisor has left."""
        if self.has_left:
            raise Stuck(f"The worker has left: {self.log}")
        return True

    @property
    def has_left(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        _stop(self._process)


def seconds_of(took: int) -> float:
    return took / SECOND


def _start(
    command: list[str], environment: Mapping[str, str], *, log: Path
) -> subprocess.Popen[bytes]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**ours, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes], patience: float = 20.0) -> None:
    """SIGTERM, SIGTERM again, SIGKILL."""
    for wait in (patience, 10.0):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
