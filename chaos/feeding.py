"""Jobs brought in from the process that runs the scenario, and written down as dispatched."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from chaos.ledger import DONE, Dispatch, Writer
from chaos.numbering import is_booked, is_heavy
from tabur.drivers.contract import Driver
from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds
from tabur.model.clock import now_us, to_us
from tabur.model.ids import new_id
from tabur.model.records import DispatchOptions, NewJob, encode
from tabur.model.states import Isolation

#: Seconds between two lots of a steady feed.
LOT = 0.05


class Brought(NamedTuple):
    """`arguments` beside its number."""

    name: str
    isolation: Isolation
    number: int
    arguments: Mapping[str, Any]
    queue: str = "default"
    delay: float = 0.0
    """Seconds."""
    batch: bytes | None = None
    blockers: int = 0


def mixed(
    numbers: Iterable[int], *, ms: int, books: bool, queue: str = "default", delay: float = 0.0
) -> list[Brought]:
    """The usual ones: coroutines, functions and, where the store can, rows of their own."""
    found = []
    for number in numbers:
        if books and is_booked(number):
            name, isolation = "booked", Isolation.THREAD
        elif is_heavy(number):
            name, isolation = "heavy", Isolation.THREAD
        else:
            name, isolation = "light", Isolation.LOOP
        found.append(Brought(name, isolation, number, {"ms": random.randint(1, ms)}, queue, delay))
    return found


class Feeder:
    """Each lot is one transaction, and its dispatch said done: what raises ends the scenario."""

    def __init__(self, driver: Driver, place: Path) -> None:
        self._driver = driver
        self._writer = Writer(place, "dispatches")
        self._lock = threading.Lock()
        self.booked: set[int] = set()
        """Those that are to write a row of their own."""

    def bring(self, jobs: Iterable[Brought], batches: Sequence[NewBatch] = ()) -> dict[int, bytes]:
        """Dispatches them; answers their ids by number. Numbers must follow each other."""
        brought = [*jobs]
        self.booked |= {each.number for each in brought if each.name.endswith("booked")}
        new = {each.number: _new_job(each) for each in brought}
        began = time.monotonic_ns()
        with self._lock:  # from a feed and from beside it
            self._driver.dispatching.dispatch([*new.values()], batches)
        took = time.monotonic_ns() - began
        first = min(new)
        assert max(new) == first + len(new) - 1, "numbers do not follow each other"
        self._writer.dispatch(Dispatch(first, len(new), "plain", DONE, "", began, took, 1))
        return {number: job.id for number, job in new.items()}


class Feed(threading.Thread):
    """So many a second, until it is ended. `numbers` gives new ones."""

    def __init__(
        self,
        feeder: Feeder,
        numbers: Callable[[int], list[int]],
        *,
        rate: float,
        ms: int,
        books: bool,
        queues: Sequence[str],
    ) -> None:
        super().__init__(name="chaos-feed", daemon=True)
        self._feeder = feeder
        self._numbers = numbers
        self._queues = cycle(queues)
        self._rate = rate
        self._ms = ms
        self._books = books
        self._over = threading.Event()
        self._error: Exception | None = None
        self.brought = 0

    def run(self) -> None:
        began = time.monotonic()
        try:
            while not self._over.wait(LOT):
                due = int((time.monotonic() - began) * self._rate) - self.brought
                if due > 0:
                    self._bring(self._numbers(due))
                    self.brought += due
        except Exception as error:
            self._error = error

    def _bring(self, numbers: list[int]) -> None:
        queue = next(self._queues)
        self._feeder.bring(mixed(numbers, ms=self._ms, books=self._books, queue=queue))

    def end(self) -> int:
        """Answers how many it has brought; raises what its store has raised."""
        self._over.set()
        self.join()
        if self._error is not None:
            raise self._error
        return self.brought


def _new_job(job: Brought) -> NewJob:
    now = now_us()
    return NewJob(
        id=new_id(),
        name=job.name,
        queue=job.queue,
        isolation=job.isolation,
        payload=json.dumps({"number": job.number, **job.arguments}).encode(),
        created_at=now,
        due_at=now + to_us(job.delay) if job.delay else None,
        blockers=job.blockers,
        options=b"" if job.batch is None else encode(DispatchOptions(bonds=Bonds(job.batch))),
    )
