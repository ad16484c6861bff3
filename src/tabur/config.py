"""Settings: from keyword arguments, the environment and `.env`, in this order of weight."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from tabur.errors import ConfigError

CONNECTIONS = ("database", "sync", "memory")
DEFAULT_DATABASE_URL = "sqlite:///var/tabur.sqlite3"


@dataclass(frozen=True)
class Settings:
    """What one Tabur object works with."""

    connection: str = "database"
    database_url: str = DEFAULT_DATABASE_URL
    queue: str = "default"
    key: str | None = field(default=None, repr=False)
    """Secret for signed links."""
    env: str = "production"
    attachments: Path = Path("var/attachments")
    keep_completed: timedelta = timedelta(days=7)
    """How long completed and cancelled jobs stay readable; never less than an hour, so that a
    repeated dispatch or settle is still recognised. Failed jobs stay until they are removed."""

    def __post_init__(self) -> None:
        if self.connection not in CONNECTIONS:
            known = ", ".join(CONNECTIONS)
            raise ConfigError(f"QUEUE_CONNECTION={self.connection!r} is not known; write {known}.")
        if self.keep_completed < timedelta(hours=1):
            raise ConfigError("keep_completed must be at least an hour.")


def from_env(env_file: str | Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Settings from the environment; `overrides` win over it, it wins over `env_file`."""
    values: dict[str, str] = {}
    if env_file is not None and Path(env_file).is_file():
        from dotenv import dotenv_values

        values = {name: value for name, value in dotenv_values(env_file).items() if value}
    values |= {name: value for name, value in os.environ.items() if value}
    found: dict[str, Any] = {
        name: values[variable] for variable, name in _VARIABLES.items() if values.get(variable)
    }
    if "attachments" in found:
        found["attachments"] = Path(found["attachments"])
    return make_settings(found | dict(overrides))


def make_settings(given: Mapping[str, Any]) -> Settings:
    """Settings from keyword arguments, with an error that names the wrong one."""
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        known = ", ".join(Settings.__dataclass_fields__)
        raise ConfigError(f"Unknown setting {', '.join(sorted(unknown))}; there are: {known}.")
    return Settings(**given)


_VARIABLES = {
    "QUEUE_CONNECTION": "connection",
    "DATABASE_URL": "database_url",
    "TABUR_KEY": "key",
    "TABUR_ENV": "env",
    "TABUR_ATTACHMENTS": "attachments",
}
