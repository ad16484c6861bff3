"""The same job in huey: SqliteHuey, results off as its documentation advises for speed."""

import os
from pathlib import Path

from huey import SqliteHuey

from bench.ledger import Ledger

# fsync=True is PRAGMA synchronous=FULL on its write-ahead log: the durability Tabur is measured at.
huey = SqliteHuey(filename=os.environ["BENCH_HUEY"], results=False, fsync=True)
ledger = Ledger(Path(os.environ["BENCH_LEDGER"]))


@huey.task()  # type: ignore[untyped-decorator]  # huey carries no types
def noop(n: int) -> None:
    ledger.mark(n)
