"""What may be set from outside, read once from the environment."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything the application takes from its surroundings; sizes in bytes."""

    var: Path
    database_url: str
    queue_connection: str
    queue_url: str
    redis_url: str | None = None
    secret: str
    max_upload_bytes: int = 32 * MIB  # a list of 200,000 products has 22
    max_rows: int = 1_000_000
    secure_cookies: bool = False

    @property
    def uploads(self) -> Path:
        return self.var / "uploads"

    @property
    def attachments(self) -> Path:
        return self.var / "attachments"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Reads `BACKOFFICE_*`; the application and its queue share DATABASE_URL unless told."""
        var = Path(environ.get("BACKOFFICE_VAR", "var"))
        database_url = (
            environ.get("BACKOFFICE_DATABASE_URL")
            or environ.get("DATABASE_URL")
            or f"sqlite:///{var / 'backoffice.sqlite3'}"
        )
        return cls(
            var=var,
            database_url=database_url,
            queue_connection=environ.get("QUEUE_CONNECTION") or "database",
            queue_url=environ.get("DATABASE_URL") or database_url,
            redis_url=environ.get("REDIS_URL") or None,
            secret=environ.get("BACKOFFICE_SECRET") or _kept_secret(var / "secret"),
            max_upload_bytes=int(environ.get("BACKOFFICE_MAX_UPLOAD_BYTES", 32 * MIB)),
            max_rows=int(environ.get("BACKOFFICE_MAX_ROWS", 1_000_000)),
            secure_cookies=environ.get("BACKOFFICE_SECURE_COOKIES", "") == "1",
        )


def _kept_secret(path: Path) -> str:
    """The signing secret in its file; made at first use, so that web and worker share it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
        # A link is made whole or not at all: of two processes that start together one wins.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()
    return path.read_text(encoding="ascii")
