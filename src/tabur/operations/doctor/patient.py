"""What the doctor looks at, and what it answers."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.jobs.registry import Registry
from tabur.model.findings import Finding, Level

PRODUCTION = "production"
#: A secret that is shorter is hidden where a URL has it, and not in all other texts: half of their
#: words would go with it.
SHORTEST_SECRET = 5


@dataclass(frozen=True)
class User:
    """Somebody whom workers run as."""

    name: str
    uid: int
    groups: frozenset[int]

    @classmethod
    def current(cls) -> User:
        return cls.of(os.geteuid())

    @classmethod
    def of(cls, uid: int) -> User:
        """Raises KeyError for a number that nobody has."""
        import pwd

        account = pwd.getpwuid(uid)
        return cls(
            account.pw_name, uid, frozenset(os.getgrouplist(account.pw_name, account.pw_gid))
        )

    @classmethod
    def named(cls, name: str) -> User:
        """Raises KeyError."""
        import pwd

        return cls.of(pwd.getpwnam(name).pw_uid)


@dataclass(frozen=True)
class Patient:
    """An app as it is set up on this host. `stores` opens each of its connections; `queues` are
    those that its jobs go to by themselves, by connection."""

    settings: Settings
    registry: Registry
    stores: Mapping[str, Callable[[], Driver]]
    queues: Mapping[str, tuple[str, ...]]
    environment: Mapping[str, str]
    """As the app sees it, `.env` among it."""
    users: tuple[User, ...] = ()
    """Whom its workers run as on this host; empty where there are no such users."""
    logs: tuple[Path, ...] = ()
    """Files, and folders of files, that logs are written to."""
    schedules: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of those that its code declares, by connection."""

    @property
    def in_production(self) -> bool:
        return self.settings.env == PRODUCTION

    @property
    def grave(self) -> Level:
        """What may be meant so while one develops, and is wrong in production."""
        return Level.WARNING if self.in_production else Level.NOTE

    def hide(self, text: str) -> str:
        """`text` without what must be seen nowhere."""
        text = _PASSWORD.sub(r"\1:***@", text)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    @property
    def _secrets(self) -> list[str]:
        settings = self.settings
        urls = (settings.database_url, settings.redis_url, settings.outbox_url)
        passwords = [_password(url) for url in urls if url]
        keys = (settings.key, *settings.previous_keys)
        found = {*keys, *passwords, *(unquote(each) for each in passwords if each)}
        return [each for each in found if each and len(each) >= SHORTEST_SECRET]


class Checked(msgspec.Struct, frozen=True):
    """One check. `connection` is None where it is about no store; `findings` are empty where all is
    well."""

    check: str
    connection: str | None
    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level | None:
        """Of the worst."""
        levels = {each.level for each in self.findings}
        return next((level for level in Level if level in levels), None)


class Diagnosis(msgspec.Struct, frozen=True):
    """`well`: there is no finding, or nothing but notes."""

    well: bool
    checks: tuple[Checked, ...]

    @property
    def findings(self) -> list[Finding]:
        return [finding for each in self.checks for finding in each.findings]


_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]+@")


def _password(url: str) -> str | None:
    """As it stands in the URL."""
    try:
        return urlsplit(url).password
    except ValueError:
        return None
