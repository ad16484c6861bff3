"""V1: depth. Claims and settles beside a million pending, scheduled and finished jobs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import psycopg

from chaos.counting import percentile
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from chaos.steps import Steps, mariadb_steps, postgres_steps, redis_steps, sqlite_steps
from chaos.stores import ALL_PROGRAMS, STORES
from chaos.turns import bring, drain
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.redis import RedisServer

SHARE, P99 = 0.8, 10.0  # of the empty store's rate; ms
#: How much more the store may do for a job, by its own count.
MORE_STEPS = 1.5


@dataclass(frozen=True)
class V1(Scenario):
    """Judged by the clock, and by what the store itself says that it did for each job."""

    id: ClassVar[str] = "V1"
    title: ClassVar[str] = "a million pending, a million scheduled, a million finished"
    programs: ClassVar[tuple[str, ...]] = ALL_PROGRAMS

    standing: int = 1_000_000
    measured: int = 10_000
    batch: int = 100
    share_of_claims: float = 0.99
    synced: bool = True
    """Whether commits wait for the disk."""
    stores: tuple[str, ...] = STORES

    @classmethod
    def small(cls) -> Self:
        return cls(
            GENEROUS, standing=10_000, measured=1_000, batch=10, share_of_claims=0.9, synced=False
        )

    def lasting(self, minutes: float) -> Self:
        """On this kind of machine a store takes in about 10,000 of each in a second."""
        return replace(self, standing=int(min(1_000_000, minutes * 60 * 4_000)))

    def run(self, place: Path) -> list[Report]:
        return [self.on(store, place / store) for store in self.stores]

    def on(self, store: str, place: Path) -> Report:
        place.mkdir()
        took = Stopwatch()
        load = (
            f"{self.standing:,} pending, scheduled and finished; {self.measured:,} claimed and "
            f"settled by {self.batch}"
        )
        report = Report(self.id, store, load)
        with _OPEN[store](place, synced=self.synced) as (url, steps), Run(place, url) as run:
            self._measure(run, steps)  # paths are warm
            empty = self._measure(run, steps)
            bring(run.driver, self.standing)
            drain(run.driver, self.standing, batch=500)
            bring(run.driver, self.standing, scheduled=True)
            bring(run.driver, self.standing)
            if store == "PostgreSQL":  # dead rows are the matter of M1
                _vacuum(url)
            self._measure(run, steps)
            deep = self._measure(run, steps)
        claim = f"p{self.share_of_claims * 100:.0f}"
        report.figures |= {
            "empty (jobs/s)": round(empty.rate),
            "deep (jobs/s)": round(deep.rate),
            f"claim {claim}, empty (ms)": round(empty.slow, 2),
            f"claim {claim}, deep (ms)": round(deep.slow, 2),
            "steps of the store for a job, empty": round(empty.steps, 1),
            "steps of the store for a job, deep": round(deep.steps, 1),
        }
        share, p99 = SHARE / self.generosity, P99 * self.generosity
        report.at_least("share of the empty store's rate", deep.rate / empty.rate, share)
        report.at_most(f"claim {claim} (ms)", deep.slow, p99)
        report.at_most("steps of the store, as a multiple", deep.steps / empty.steps, MORE_STEPS)
        report.seconds = took()
        return report

    def _measure(self, run: Run, steps: Steps) -> Measured:
        """Brings in as many as it takes: what stands in the store stays."""
        bring(run.driver, self.measured)
        run.driver.close()
        before = steps()
        claims, settles = drain(run.driver, self.measured, batch=self.batch)
        run.driver.close()
        return Measured(
            rate=self.measured / (sum(claims) + sum(settles)),
            slow=percentile(claims, self.share_of_claims) * 1000,
            steps=(steps() - before) / self.measured,
        )


@dataclass(frozen=True)
class Measured:
    rate: float
    slow: float
    """The slowest claims (ms)."""
    steps: float


def _vacuum(url: str) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


@contextmanager
def _sqlite(place: Path, *, synced: bool) -> Iterator[tuple[str, Steps]]:
    with sqlite_steps() as steps:
        yield f"sqlite:///{place}/jobs.sqlite3", steps


@contextmanager
def _postgres(place: Path, *, synced: bool) -> Iterator[tuple[str, Steps]]:
    with PostgresServer.start(settings={"fsync": "on" if synced else "off"}) as server:
        yield server.url(), postgres_steps(server)


@contextmanager
def _mariadb(place: Path, *, synced: bool) -> Iterator[tuple[str, Steps]]:
    settings = {"innodb-flush-log-at-trx-commit": "1" if synced else "0"}
    with MariaDBServer.start(settings=settings) as server:
        yield server.url(), mariadb_steps(server)


@contextmanager
def _redis(place: Path, *, synced: bool) -> Iterator[tuple[str, Steps]]:
    with RedisServer.start("--appendonly", "yes" if synced else "no") as server:
        yield server.url(), redis_steps(server)


_OPEN = {"SQLite": _sqlite, "PostgreSQL": _postgres, "MariaDB": _mariadb, "Redis": _redis}
