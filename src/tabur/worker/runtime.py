"""What a worker needs of an app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import Sessions


@dataclass(frozen=True)
class Runtime:
    registry: Registry
    scope: CurrentScope
    settings: Settings
    open: Callable[[], Driver]
    sessions: Sessions
    seals: Seals

    @property
    def driver(self) -> Driver:
        """Opened when first asked for: the process of a job may never need it."""
        return self.open()
