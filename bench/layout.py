"""Compares layouts of the store in raw sqlite3: three narrow tables against one wide one.

Every figure is a loop of transactions of 100 jobs (WAL, synchronous=FULL, BEGIN IMMEDIATE), on an
empty store and on one in which a million scheduled and a million finished jobs stand.
`python -m bench.layout` prints the table of docs/decisions/0001-store-layout.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.layouts import BATCH, LAYOUTS, Layout


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Medians over the repetitions: jobs per second, and what the file weighs."""

    layout: str
    standing: int
    payload: int
    dispatch: float
    claim: float
    settle: float
    drain: float
    """Claim and settle together."""
    retry: float
    """Claim, settle as failed, and promote again."""
    claim_p99_ms: float
    wal_bytes_per_job: float
    """What one dispatched, claimed and settled job writes to the log: what a slow disk feels."""
    file_mb: float


def open_store(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    return db


def measure(layout: Layout, *, jobs: int, standing: int, payload: int, repetitions: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="tabur-layout-") as folder:
        path = Path(folder, "store.sqlite3")
        db = open_store(path)
        db.executescript(layout.schema)
        text = json.dumps({"text": "x" * max(0, payload - 12)})
        if standing:
            layout.fill(db, count=standing, payload=text)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        runs = [one_run(layout, db, jobs=jobs, text=text) for _ in range(repetitions)]
        log = log_per_job(layout, db, path, text=text)
        db.close()
        size = path.stat().st_size

    def median(of: Callable[[Run], float]) -> float:
        return statistics.median(of(run) for run in runs)

    return Figures(
        layout=layout.name,
        standing=standing,
        payload=payload,
        dispatch=median(lambda run: jobs / run.dispatch),
        claim=median(lambda run: jobs / sum(run.claims)),
        settle=median(lambda run: jobs / run.settle),
        drain=median(lambda run: jobs / (sum(run.claims) + run.settle)),
        retry=median(lambda run: jobs / run.retry),
        claim_p99_ms=median(lambda run: statistics.quantiles(run.claims, n=100)[98] * 1000),
        wal_bytes_per_job=log,
        file_mb=size / 1e6,
    )


@dataclass(frozen=True, kw_only=True)
class Run:
    """Seconds."""

    dispatch: float
    claims: list[float]
    settle: float
    retry: float


def one_run(layout: Layout, db: sqlite3.Connection, *, jobs: int, text: str) -> Run:
    started = time.perf_counter()
    for batch in batches(jobs):
        layout.dispatch(db, batch, text)
    dispatch = time.perf_counter() - started

    started = time.perf_counter()
    retried = 0
    for _ in range(jobs // BATCH):
        token = os.urandom(16)
        layout.retry(db, layout.claim(db, token), token)
        retried += layout.promote(db)
    retry = time.perf_counter() - started
    assert retried == jobs, f"{layout.name}: {retried} of {jobs} came back"

    claims: list[float] = []
    settle = 0.0
    drained = 0
    while True:
        token = os.urandom(16)
        began = time.perf_counter()
        claimed = layout.claim(db, token)
        ended = time.perf_counter()
        if not claimed:
            break
        layout.settle(db, claimed, token)
        claims.append(ended - began)
        settle += time.perf_counter() - ended
        drained += len(claimed)
    assert drained == jobs, f"{layout.name}: {drained} of {jobs} drained"
    return Run(dispatch=dispatch, claims=claims, settle=settle, retry=retry)


def log_per_job(layout: Layout, db: sqlite3.Connection, path: Path, *, text: str) -> float:
    """Bytes of write-ahead log for one job's whole way, over 1,000 jobs, no checkpoint between."""
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for batch in batches(1000):
        layout.dispatch(db, batch, text)
        token = os.urandom(16)
        layout.settle(db, layout.claim(db, token), token)
    return path.with_name(path.name + "-wal").stat().st_size / 1000


def batches(jobs: int) -> Iterator[list[bytes]]:
    for _ in range(jobs // BATCH):
        yield [time.time_ns().to_bytes(8, "big") + os.urandom(8) for _ in range(BATCH)]


def table(figures: list[Figures]) -> str:
    head = (
        "| layout | scheduled and finished standing, each | payload | dispatch/s | claim/s |"
        " settle/s | claim + settle/s | retry and back/s | claim p99 | log per job | file |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = (
        f"| {f.layout} | {f.standing:,} | {f.payload:,} B | {f.dispatch:,.0f} | {f.claim:,.0f} |"
        f" {f.settle:,.0f} | {f.drain:,.0f} | {f.retry:,.0f} | {f.claim_p99_ms:.1f} ms |"
        f" {f.wal_bytes_per_job:,.0f} B | {f.file_mb:,.0f} MB |\n"
        for f in figures
    )
    return head + "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small numbers, one repetition")
    quick = parser.parse_args().quick
    figures = [
        measure(
            layout,
            jobs=2_000 if quick else 20_000,
            standing=standing,
            payload=payload,
            repetitions=1 if quick else 5,
        )
        for standing, payload in ((0, 300), (10_000 if quick else 1_000_000, 300), (0, 8_000))
        for layout in LAYOUTS
    ]
    print(table(figures))


if __name__ == "__main__":
    main()
