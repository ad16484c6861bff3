"""celery on Redis: the solo pool, no results, and nothing beside the work."""

import redis
from celery import Celery

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

app = Celery("bench", broker=url())
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1000,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
counted = ledger()


@app.task
def noop(n: int) -> None:
    counted.mark(n)


class Adapter(BaseAdapter):
    def prepare(self) -> None:
        self._redis = redis.Redis.from_url(url())

    def dispatch(self, n: int) -> None:
        noop.delay(n)

    def unfinished(self) -> int:
        return self._redis.llen("celery") + self._redis.hlen("unacked")

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        worker = ["-m", "celery", "-A", "bench.rivals.celery.adapter", "worker", "-P", "solo"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
        return [python(*worker, *quiet, "-n", f"w{n}") for n in range(processes)]
