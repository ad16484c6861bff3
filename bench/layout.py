"""Compares layouts of the store in raw sqlite3: narrow tables against one wide one.

Every figure is a loop of transactions of 100 jobs (WAL, synchronous=FULL, BEGIN IMMEDIATE), on an
empty store and on one in which a million scheduled and a million finished jobs stand. The layouts
take turns, so that what else the machine does falls on all of them.
`python -m bench.layout` prints the table of docs/decisions/0001-store-layout.md.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.layouts import LAYOUTS, Layout, open_store

BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Run:
    """One repetition: jobs per second, and milliseconds."""

    dispatch: float
    claim: float
    settle: float
    drain: float
    """Claim and settle together."""
    retry: float
    """Claim, settle as failed, and promote again."""
    claim_p99: float


def one_run(layout: Layout, db: sqlite3.Connection, *, jobs: int, payload: bytes) -> Run:
    started = time.perf_counter()
    for ids in batches(jobs):
        layout.dispatch(db, ids, payload)
    dispatch = time.perf_counter() - started

    started = time.perf_counter()
    returned = 0
    for _ in range(jobs // BATCH):
        token = os.urandom(16)
        layout.retry(db, layout.claim(db, token, BATCH), token)
        returned += layout.promote(db, BATCH)
    retry = time.perf_counter() - started
    assert returned == jobs, f"{layout.name}: {returned} of {jobs} came back"

    claims: list[float] = []
    settle = 0.0
    drained = 0
    while True:
        token = os.urandom(16)
        began = time.perf_counter()
        claimed = layout.claim(db, token, BATCH)
        ended = time.perf_counter()
        if not claimed:
            break
        layout.settle(db, claimed, token)
        claims.append(ended - began)
        settle += time.perf_counter() - ended
        drained += len(claimed)
    assert drained == jobs, f"{layout.name}: {drained} of {jobs} drained"
    return Run(
        dispatch=jobs / dispatch,
        claim=jobs / sum(claims),
        settle=jobs / settle,
        drain=jobs / (sum(claims) + settle),
        retry=jobs / retry,
        claim_p99=statistics.quantiles(claims, n=100)[98] * 1000,
    )


def log_per_job(layout: Layout, db: sqlite3.Connection, path: Path, *, payload: bytes) -> float:
    """Bytes of write-ahead log for one job's whole way: what a slow disk feels."""
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for ids in batches(10 * BATCH):
        layout.dispatch(db, ids, payload)
        token = os.urandom(16)
        layout.settle(db, layout.claim(db, token, BATCH), token)
    return path.with_name(path.name + "-wal").stat().st_size / (10 * BATCH)


def batches(jobs: int) -> Iterator[list[bytes]]:
    """Ids that grow with time, as Tabur's do."""
    for _ in range(jobs // BATCH):
        yield [time.time_ns().to_bytes(8, "big") + os.urandom(8) for _ in range(BATCH)]


@dataclass(frozen=True)
class Candidate:
    layout: Layout
    db: sqlite3.Connection
    path: Path
    runs: list[Run]

    def median(self, of: Callable[[Run], float]) -> float:
        return statistics.median(of(run) for run in self.runs)


def compare(*, jobs: int, standing: int, size: int, repetitions: int) -> Iterator[str]:
    """One line of the table for each layout."""
    payload = b'{"text":"' + b"x" * max(0, size - 11) + b'"}'
    with tempfile.TemporaryDirectory(prefix="tabur-layout-") as folder:
        candidates = []
        for number, layout in enumerate(LAYOUTS):
            path = Path(folder, f"{number}.sqlite3")
            db = open_store(path)
            layout.make(db)
            if standing:
                layout.fill(db, count=standing, payload=payload)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            candidates.append(Candidate(layout, db, path, []))
        for _ in range(repetitions):
            for each in candidates:
                each.runs.append(one_run(each.layout, each.db, jobs=jobs, payload=payload))
        for each in candidates:
            log = log_per_job(each.layout, each.db, each.path, payload=payload)
            each.db.close()
            median = each.median
            yield (
                f"| {each.layout.name} | {standing:,} | {size:,} B |"
                f" {median(lambda run: run.dispatch):,.0f} |"
                f" {median(lambda run: run.claim):,.0f} |"
                f" {median(lambda run: run.settle):,.0f} |"
                f" {median(lambda run: run.drain):,.0f} |"
                f" {median(lambda run: run.retry):,.0f} |"
                f" {median(lambda run: run.claim_p99):.1f} |"
                f" {log:,.0f} B | {each.path.stat().st_size / 1e6:,.0f} |"
            )


HEAD = """\
| layout | standing, each | payload | dispatch/s | claim/s | settle/s | claim + settle/s \
| retry and back/s | claim p99, ms | log per job | file, MB |
|---|---|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Compares layouts of the store in raw sqlite3.")
    parser.add_argument("--quick", action="store_true", help="small numbers, one repetition")
    quick = parser.parse_args().quick
    print(HEAD)
    for standing, size in ((0, 300), (0, 8_000), (5_000 if quick else 1_000_000, 300)):
        lines = compare(
            jobs=500 if quick else 20_000,
            standing=standing,
            size=size,
            repetitions=1 if quick else 5,
        )
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
