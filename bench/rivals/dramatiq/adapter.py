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
        """For a quick pick-up too: its default of eight threads and no prefetch is no quicker."""
        sizes = ["-p", str(processes), "-t", "1"]
        worker = python("-m", "dramatiq", "bench.rivals.dramatiq.adapter", *sizes)
        return [["env", "dramatiq_queue_prefetch=1000", *worker]]
