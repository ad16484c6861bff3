"""huey on SQLite and on Redis, results off as its documentation advises for speed."""

from huey import RedisHuey, SqliteHuey

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

if url().startswith("sqlite"):
    # fsync=True is PRAGMA synchronous=FULL on its write-ahead log: our durability.
    huey = SqliteHuey(filename=url().removeprefix("sqlite:///"), results=False, fsync=True)
    POLLING = ("-d", "0.01", "-m", "0.01")
else:
    huey = RedisHuey(url=url(), results=False)
    POLLING = ()
counted = ledger()


@huey.task()
def noop(n: int) -> None:
    counted.mark(n)


class Adapter(BaseAdapter):
    def prepare(self) -> None:
        if url().startswith("sqlite"):
            connection = huey.storage.conn
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "not at FULL"
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",), "not in WAL"

    def dispatch(self, n: int) -> None:
        noop(n)

    def unfinished(self) -> int:
        """It keeps no account of what runs: the ledger does."""
        return huey.pending_count()

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        module = "bench.rivals.huey.adapter.huey"
        consumer = python("-m", "huey.bin.huey_consumer", module, "-w", "1", *POLLING, "-q")
        return [consumer] * processes

    def close(self) -> None:
        if url().startswith("sqlite"):
            huey.storage.close()
