"""What is wrong with a store, an app or a host, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    ERROR = "error"
    """Wrong: jobs do not run, or may be lost."""
    WARNING = "warning"
    """May be wrong."""
    NOTE = "note"
    """Good to know."""


class Finding(msgspec.Struct, frozen=True):
    """`name` is the same for the same kind of fault, whatever the words; docs/doctor.md lists
    them."""

    name: str
    level: Level
    what: str
    todo: str
