"""M1: transactions of others are left open beside the queue."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import psycopg

from chaos.checks import check_effects
from chaos.counting import SECOND, percentile
from chaos.run import Run
from chaos.scenario import GENEROUS, Report, Scenario, Stopwatch
from servers.postgres import PostgresServer


@dataclass(frozen=True)
class M1(Scenario):
    """One snapshot is held (REPEATABLE READ), so that no dead row can be removed; and one writer
    sits idle in its transaction."""

    id: ClassVar[str] = "M1"
    title: ClassVar[str] = "PostgreSQL: a transaction left open elsewhere"
    programs: ClassVar[tuple[str, ...]] = ("postgres",)

    rate: float = 800.0
    processes: int = 2
    seconds: float = 600.0
    reads: float = float("inf")
    """Entries of the claim's index that may be read for each job. Without low-water marks each
    claim reads every row that was settled since the snapshot was taken: 900 in the small version.
    In the long one what is read from the front now and then outweighs that."""

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, rate=400.0, seconds=8.0, reads=150.0)

    def lasting(self, minutes: float) -> Self:
        return replace(self, seconds=minutes * 60)

    def run(self, place: Path) -> list[Report]:
        took = Stopwatch()
        load = f"{self.rate:g} jobs/s for {self.seconds:g} s, {self.processes} worker processes"
        report = Report(self.id, "PostgreSQL", load)
        with PostgresServer.start() as server, Run(place, server.url()) as run:
            where = f"host=127.0.0.1 port={server.port} user=tabur dbname=tabur"
            with psycopg.connect(where) as reader, psycopg.connect(where) as writer:
                reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                reader.execute("SELECT count(*) FROM job_ready")
                writer.execute("INSERT INTO orders VALUES (-1)")
                run.work(processes=self.processes)
                run.dispatch(rate=self.rate, seconds=self.seconds)
                run.until(lambda: run.pace().first_after(0) < float("inf"), "the first job")
                began = time.monotonic_ns()
                run.dispatched()
                end = time.monotonic_ns()
                report.figures["drained after (s)"] = round(run.drain(), 1)
                check_effects(report, run)
                read, dead = _index_reads(where)
                writer.rollback()
                reader.rollback()
            done = run.pace().between(0, end) / max(1, run.count().offered)
            share = 0.98 if self.generosity == 1 else 0.98 / self.generosity
            report.at_least("share of the offered done by the end of offering", done, share)
            offered = run.count().offered * SECOND / (end - began)
            report.figures["offered (jobs/s)"] = round(offered)
            report.at_most(
                "index entries read for each job", read / run.count().offered, self.reads
            )
            claims = [turn.took / 1e6 for turn in run.turns() if turn.claimed]
            late = [
                turn.took / 1e6
                for turn in run.turns()
                if turn.claimed and turn.at > end - (end - began) // 5
            ]
            report.at_most("claim p99 (ms)", percentile(claims, 0.99), 20 * self.generosity)
            report.figures |= {
                "claim p50 (ms)": round(percentile(claims, 0.5), 2),
                "claim p99 in the last fifth (ms)": round(percentile(late, 0.99), 2),
                "dead rows in job_ready at the end": dead,
            }
        report.seconds = took()
        return [report]


def _index_reads(where: str) -> tuple[int, int]:
    """Entries of the claim's index that were read, and dead rows of its table."""
    time.sleep(1.1)  # sessions report once a second
    with psycopg.connect(where) as connection:
        row = connection.execute(
            "SELECT i.idx_tup_read, t.n_dead_tup FROM pg_stat_user_indexes i"
            " JOIN pg_stat_user_tables t USING (relid) WHERE indexrelname = 'job_ready_claim'"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])
