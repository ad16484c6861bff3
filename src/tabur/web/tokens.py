"""Read tokens: a link that shows one job to whoever holds it, until it expires."""

from __future__ import annotations

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from tabur.errors import ConfigError
from tabur.jobs.handle import JobHandle
from tabur.model.ids import id_bytes, id_text


class Keyed(Protocol):
    """An app with a secret; `Tabur` is one."""

    @property
    def key(self) -> str | None: ...
    @property
    def previous_keys(self) -> Sequence[str]: ...


class TokenAnswer(Enum):
    VALID = "valid"
    EXPIRED = "expired"
    """Ours and for this job, but too late."""
    INVALID = "invalid"


def read_token(jobs: Keyed, handle: JobHandle[Any] | str | UUID, *, expires: timedelta) -> str:
    """A token for `?token=` that lets its bearer read this one job for the time given: its status,
    its events and its attachments; never cancel or retry.

    Raises ConfigError where the app has no key, or `expires` is not ahead.
    """
    if not jobs.key:
        raise ConfigError(
            "Read tokens are signed, and this app has no key. Make one, the same for all web "
            "processes: tabur key:generate (or set TABUR_KEY, or pass Tabur(key=…))."
        )
    if expires <= timedelta(0):
        raise ConfigError(f"expires={expires!r}: a token needs some time to be used in.")
    job_id = id_text(id_bytes(handle.id if isinstance(handle, JobHandle) else handle))
    until = int(time.time() + expires.total_seconds())
    return f"{until}.{_signature(jobs.key, job_id, until)}"


def check_token(jobs: Keyed, job_id: str, token: str) -> TokenAnswer:
    """Whether `token` was made for `job_id` (canonical text) by this app and is still good."""
    match = _SHAPE.fullmatch(token)
    if match is None or not jobs.key:
        return TokenAnswer.INVALID
    until = int(match["until"])
    signatures = [_signature(key, job_id, until) for key in (jobs.key, *jobs.previous_keys)]
    if not any(hmac.compare_digest(each, match["signature"]) for each in signatures):
        return TokenAnswer.INVALID
    return TokenAnswer.VALID if time.time() < until else TokenAnswer.EXPIRED


_SHAPE = re.compile(r"(?P<until>[1-9][0-9]{0,14})\.(?P<signature>[A-Za-z0-9_-]{43})", re.ASCII)


def _signature(key: str, job_id: str, until: int) -> str:
    # The purpose is signed too: no token made for something else will ever open a job.
    message = f"tabur\x1fread-job\x1f{job_id}\x1f{until}".encode()
    digest = hmac.digest(key.encode(), message, sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
