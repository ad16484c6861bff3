"""dramatiq on Redis: no results, one thread per process and a long prefetch."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.adapter import BaseAdapter, python, url
from bench.ledger import ledger

broker = RedisBroker(url=url())
dramatiq.set_broker(broker)
counted = ledger()


@dramatiq.actor
def noop(n: int) -> None:
    counted.mark(n)


class Adapter(BaseAdapter):
    def dispatch(self, n: int) -> None:
        noop.send(n)

    def unfinished(self) -> int:
        return broker.do_qsize("default")

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        prefetch = ["env", "dramatiq_queue_prefetch=1000"]
        return [[*prefetch, *_worker("-p", str(processes), "-t", "1")]]

    def quick_workers(self) -> list[list[str]]:
        return [_worker("-p", "1", "-t", "8")]


def _worker(*sizes: str) -> list[str]:
    return python("-m", "dramatiq", "bench.rivals.dramatiq.adapter", *sizes)
