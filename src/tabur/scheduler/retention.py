"""Removing what became of ticks long ago."""

from __future__ import annotations

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.model.clock import to_us

#: Ticks that are removed in one go.
_AT_ONCE = 1_000


def prune_ticks(driver: Driver, settings: Settings) -> int:
    """Remove those older than `keep_ticks`; answers how many. Raises StoreError."""
    before, removed = driver.now() - to_us(settings.keep_ticks), 0
    while count := driver.schedules.prune(before=before, limit=_AT_ONCE):
        removed += count
    return removed
