"""From a pending job to the record that a store keeps."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from tabur.errors import IdempotencyConflict
from tabur.jobs.options import NO_SETTINGS
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import Scope
from tabur.model.clock import now_us
from tabur.model.ids import idempotent_id, new_id
from tabur.model.records import (
    NO_OPTIONS,
    DispatchOptions,
    JobRecord,
    NewJob,
    decode_options,
    encode,
)


def new_job(
    pending: PendingJob[Any], scope: Scope, default_queue: str, *, code: str = ""
) -> NewJob:
    """The record of `pending`, with a fresh id or the one its idempotency key leads to. `code` is
    the version of the application."""
    settings, declared = pending.settings, pending.definition.options
    now = now_us()
    tenant = settings.tenant or scope.tenant
    user = settings.user or scope.user
    key = settings.idempotency_key
    due_at = settings.at or (now + settings.delay if settings.delay else None)
    return NewJob(
        id=idempotent_id((tenant, user), key) if key else new_id(),
        name=pending.definition.name,
        queue=settings.queue or declared.queue or default_queue,
        isolation=pending.definition.isolation,
        payload=pending.payload,
        created_at=now,
        priority=declared.priority if settings.priority is None else settings.priority,
        due_at=due_at,
        options=_options(pending, now, code),
        tenant=tenant,
        user=user,
        locale=settings.locale or scope.locale,
    )


def _options(pending: PendingJob[Any], now: int, code: str) -> bytes:
    """What this dispatch sets otherwise than its job declares, as it is kept; mostly nothing."""
    settings, declared = pending.settings, pending.definition.options
    declared_spans = (declared.retry_until, declared.expires)
    if (
        settings is NO_SETTINGS
        and declared_spans == (None, None)
        and declared.version == 1
        and not code
    ):
        return b""
    options = DispatchOptions(
        tries=settings.tries,
        backoff=settings.backoff,
        timeout=settings.timeout,
        retry_until=settings.retry_until or _later(now, declared.retry_until),
        expires=settings.expires or _later(now, declared.expires),
        fingerprint=fingerprint(pending) if settings.idempotency_key else None,
        code=code or None,
        version=declared.version,
    )
    return b"" if options == NO_OPTIONS else encode(options)


def fingerprint(pending: PendingJob[Any]) -> str:
    """Of name and arguments; the same for equal ones."""
    body = pending.definition.codec.canonical(pending.args)
    return sha256(pending.definition.name.encode() + b"\0" + body).hexdigest()


def check_same(pending: PendingJob[Any], kept: JobRecord) -> None:
    """Raises IdempotencyConflict where the key has led to a job with another body."""
    if decode_options(kept.options).fingerprint != fingerprint(pending):
        raise IdempotencyConflict(pending.settings.idempotency_key or "")


def _later(now: int, span: int | None) -> int | None:
    return None if span is None else now + span
