"""Stores that fail as they are told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tabur import Tabur
from tabur.drivers.contract import Driver
from tabur.errors import StoreError, StoreUnavailable, StoreUnreachable
from tabur.model.batches import NewBatch
from tabur.model.records import NewJob

UNREACHABLE = StoreUnreachable("it cannot be reached")
UNKNOWN = StoreUnavailable("it does not answer")


class Faulty:
    """Stands before one role of a driver. While `error` is set, its verbs raise it; `UNKNOWN` from
    dispatch comes when the jobs are there already."""

    def __init__(self, role: Any) -> None:
        self._role = role
        self.error: StoreError | None = None
        self.asked = 0

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        self.asked += 1
        if self.error is UNREACHABLE:
            raise self.error
        holders: Mapping[bytes, bytes] = self._role.dispatch(jobs, batches)
        if self.error is not None:
            raise self.error
        return holders

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self._role, name)


def break_dispatch(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    faulty = Faulty(driver.dispatching)
    monkeypatch.setattr(driver, "dispatching", faulty)
    return faulty


def break_reading(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Faulty:
    faulty = Faulty(driver.inspection)
    monkeypatch.setattr(driver, "inspection", faulty)
    return faulty


def size(app: Tabur, connection: str) -> int:
    return sum(each.size for each in app.driver_of(connection).inspection.queues())
