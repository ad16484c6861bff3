"""What handles share: where what they stand for is, and waiting until it has ended."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.jobs.seals import NO_SEALS, Seals
from tabur.model.ids import id_bytes, id_text

T = TypeVar("T")


class Located:
    """Something by its id, which is in one of `drivers`: the first that knows it is asked from then
    on. `seals`: of its app."""

    __slots__ = ("_drivers", "_id", "_seals")

    def __init__(
        self, drivers: Sequence[Driver], an_id: bytes | str, *, seals: Seals = NO_SEALS
    ) -> None:
        self._drivers = drivers
        self._id = id_bytes(an_id)
        self._seals = seals

    @property
    def id(self) -> str:
        """A UUID in its usual form."""
        return id_text(self._id)

    @property
    def connection(self) -> str:
        """Of the store that it is in: `database`, `redis` …"""
        return self._driver.name

    @abstractmethod
    def _is_in(self, driver: Driver) -> bool: ...

    @property
    def _driver(self) -> Driver:
        """The store that it is in; while none knows it, the first. Raises StoreError where it is
        in none that answers, and one does not."""
        if len(self._drivers) > 1:
            failed: StoreError | None = None
            for driver in self._drivers:
                try:
                    if self._is_in(driver):
                        self._drivers = (driver,)
                        break
                except StoreError as error:
                    failed = failed or error
            else:
                if failed is not None:
                    raise failed
        return self._drivers[0]


def waited(
    look: Callable[[], T],
    has_ended: Callable[[T], bool],
    told: Callable[[T], str],
    timeout: float | None,
) -> T:
    """What `look` answers once it `has_ended`. Raises TimeoutError after `timeout` seconds, with
    what is `told` of it then."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for pause in _pauses():
        found = look()
        if has_ended(found):
            return found
        if deadline is not None and time.monotonic() + pause > deadline:
            raise TimeoutError(f"{told(found)} after {timeout} s.")
        time.sleep(pause)
    raise AssertionError("unreachable")


def _pauses() -> Iterator[float]:
    """Seconds between two looks: quick at first, at most a quarter of a second."""
    pause = 0.002
    while True:
        yield pause
        pause = min(pause * 1.5, 0.25)
