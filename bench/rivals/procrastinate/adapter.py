"""procrastinate on PostgreSQL: twenty at once, finished jobs deleted."""

from collections.abc import Sequence

import procrastinate
import psycopg

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

PIECE = 1_000  # jobs in one call
DSN = url("postgresql")

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=DSN))
counted = ledger()


@app.task(name="noop")
async def noop(n: int) -> None:
    counted.mark(n)


class Adapter(BaseAdapter):
    def prepare(self) -> None:
        app.open()
        app.schema_manager.apply_schema()
        self._db = psycopg.connect(DSN, autocommit=True)

    def dispatch(self, n: int) -> None:
        noop.defer(n=n)

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        for first in range(0, len(numbers), PIECE):
            noop.batch_defer(*({"n": n} for n in numbers[first : first + PIECE]))

    def unfinished(self) -> int:
        """Finished ones are deleted."""
        return self._db.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()[0]

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        module = "bench.rivals.procrastinate.adapter.app"
        run = ["-m", "procrastinate", "-a", module, "worker", "-c", "20"]
        return [python(*run, "--delete-jobs", "always")] * processes

    def close(self) -> None:
        app.close()
        self._db.close()
