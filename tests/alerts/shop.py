"""An app on a memory store whose clock goes on when told to, and what may go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tabur import Tabur
from tabur.alerts.state import Alert
from tabur.alerts.watch import Looked, Watch
from tabur.drivers.contract import Driver
from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.records import ErrorInfo, Pause, WorkerRecord
from tabur.model.states import State
from tabur.testing.conformance import Clock, Subject
from tabur.testing.conformance.subject import AnyJob, move
from tests.alerts.receivers import SECRET, PostOffice, Receiver


class OneStore:
    """In place of those that the settings name."""

    fake = False
    beside: Sequence[Driver] = ()

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def get(self, connection: str) -> Driver:
        return self._driver

    def close(self) -> None:
        self._driver.close()


class Shop:
    """`store` does to the store what tests do; `look` looks when a minute has gone by."""

    def __init__(self, make: Any = None, **settings: Any) -> None:
        self.store = Subject(make or (lambda clock: MemoryDriver(clock=clock)))
        self.app = Tabur(connection="memory", **settings)
        self.app._stores = OneStore(self.store.driver)
        self._watches: dict[str, Watch] = {}
        self.every_minute: list[Callable[[], object]] = []
        """What goes on while somebody looks, such as beats."""

    @property
    def clock(self) -> Clock:
        return self.store.clock

    def watch(self, host: str = "here", **given: Any) -> Watch:
        """Always the same for a host; the plan is made at the first call."""
        if host not in self._watches:
            self._watches[host] = Watch(self.app, host=host, **given)
        return self._watches[host]

    def look(self, seconds: float = 60, host: str = "here") -> Looked:
        self.clock.advance(seconds)
        for each in self.every_minute:
            each()
        looked = self.watch(host).look()
        assert looked.looked
        return looked

    def only(self, *rules: str) -> None:
        """Leave all other rules out."""
        from tabur.alerts.rules import RULES

        self.app.alerts.off(*(set(RULES) - set(rules)))

    # what goes wrong, and is mended

    def fill(self, count: int, queue: str = "mail") -> list[AnyJob]:
        return list(self.store.put_many(count, queue=queue))

    def empty(self, queue: str = "mail") -> None:
        self.store.driver.dispatching.clear(queue)

    def fail(self, message: str = "no such box", queue: str = "mail", name: str = "send") -> None:
        claimed = self.store.running(queue=queue, name=name)
        error = ErrorInfo("LookupError", message)
        self.store.settle(move(claimed, State.FAILED, error=error, ended_at=self.clock()))

    def complete(self, queue: str = "mail") -> None:
        claimed = self.store.running(queue=queue)
        self.store.settle(move(claimed, State.COMPLETED, ended_at=self.clock()))

    def worker(self, queue: str = "mail", name: str = "w1", host: str = "elsewhere") -> None:
        self.store.driver.workers.register(
            WorkerRecord(name, host, 1, self.clock(), queues=(queue,), supervisor="s")
        )

    def pause(self, queue: str = "mail") -> None:
        self.store.driver.control.pause(Pause(queue, 0))


def with_every_channel(shop: Shop, post: PostOffice, http: Receiver) -> None:
    shop.app.alerts.email("ops@shop.example", "owner@shop.example")
    shop.app.alerts.webhook(f"{http.url}/signed", secret=SECRET)
    shop.app.alerts.slack(f"{http.url}/slack")
    shop.app.alerts.apprise(f"json://{http.url.partition('://')[2]}/apprise")


def mail_settings(post: PostOffice) -> dict[str, Any]:
    return {"mail_host": "127.0.0.1", "mail_port": post.port, "mail_from": "tabur@shop.example"}


def keys(alerts: tuple[Alert, ...]) -> set[str]:
    return {each.key for each in alerts}
