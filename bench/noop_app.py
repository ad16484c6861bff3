"""The Tabur application under measurement: jobs that do nothing but be counted."""

import os
from pathlib import Path

from bench.ledger import Ledger
from tabur import Tabur

jobs = Tabur.from_env(None)  # DATABASE_URL is set by the bench
ledger = Ledger(Path(os.environ["BENCH_LEDGER"]))


@jobs.job()
async def noop_async(n: int) -> None:
    """Runs on the child's event loop."""
    ledger.mark(n)


@jobs.job()
def noop_def(n: int) -> None:
    """Runs in a thread of the child."""
    ledger.mark(n)
