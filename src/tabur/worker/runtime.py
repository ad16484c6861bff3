"""What a worker needs of an app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.events import Listeners
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope
from tabur.jobs.seals import Seals
from tabur.jobs.sessions import Sessions
from tabur.jobs.settling import Backing


@dataclass(frozen=True)
class Runtime:
    registry: Registry
    scope: CurrentScope
    settings: Settings
    open: Callable[[], Driver]
    sessions: Sessions
    listeners: Listeners
    seals: Seals

    @property
    def driver(self) -> Driver:
        """Opened when first asked for: the process of a job may never need it."""
        return self.open()

    def backing(self, worker: str = "") -> Backing:
        """Of the jobs of one process; `worker` is by whose name it claims."""
        return Backing(self.open, self.sessions, worker, registry=self.registry, seals=self.seals)
