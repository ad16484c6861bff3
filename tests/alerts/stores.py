"""Every store, under a clock that goes on when told to."""

from __future__ import annotations

from collections.abc import Callable

from tabur.drivers.contract import Driver
from tabur.testing.conformance import Clock

STORES = ("memory", "sqlite", "postgresql", "mariadb", "redis")
MakeDriver = Callable[[Clock], Driver]
