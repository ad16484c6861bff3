"""The Tabur application under measurement: jobs that do nothing but be counted."""

from bench.ledger import ledger
from tabur import Tabur

jobs = Tabur.from_env(None)  # QUEUE_CONNECTION and the store's URL are set by the bench
counted = ledger()


@jobs.job()
async def noop_async(n: int) -> None:
    """Runs on the child's event loop."""
    counted.mark(n)


@jobs.job()
def noop_def(n: int) -> None:
    """Runs in a thread of the child."""
    counted.mark(n)
