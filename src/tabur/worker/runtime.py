"""What a worker needs of an app."""

from __future__ import annotations

from dataclasses import dataclass

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.jobs.registry import Registry
from tabur.jobs.scope import CurrentScope


@dataclass(frozen=True)
class Runtime:
    registry: Registry
    driver: Driver
    scope: CurrentScope
    settings: Settings
