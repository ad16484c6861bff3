"""From a pending job to the record that a store keeps."""

from __future__ import annotations

from typing import Any

from tabur.errors import IdempotencyConflict
from tabur.jobs.current import current_traceparent
from tabur.jobs.options import NO_SETTINGS, Until
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import Scope
from tabur.model.ids import idempotent_id, new_id
from tabur.model.records import (
    NO_OPTIONS,
    DispatchOptions,
    JobRecord,
    NewJob,
    Owner,
    decode_options,
    encode,
)


class Outgoing:
    """A job on its way to a store, with a fresh id or the one its idempotency key leads to, sealed
    as it is to be kept. `code` is the version of the application. Raises ConfigError where there is
    no key to seal it with."""

    __slots__ = ("_code", "_payload", "_scope", "id", "pending")

    def __init__(self, pending: PendingJob[Any], scope: Scope, *, code: str = "") -> None:
        self.pending = pending
        self._scope = scope
        self._code = code
        key = pending.settings.idempotency_key
        self.id = idempotent_id((self._tenant, self._user), key) if key else new_id()
        # Here, and not when it is sent: after a caller's commit it is too late to say no.
        self._payload = pending.seals.payload(
            pending.definition, pending.payload, self.id, Owner(self._tenant, self._user)
        )

    def job(self, now: int, default_queue: str) -> NewJob:
        """The record that the store keeps. Its spans begin at `now`, by the store's clock: that of
        this host may be wrong."""
        pending, settings = self.pending, self.pending.settings
        declared = pending.definition.options
        return NewJob(
            id=self.id,
            name=pending.definition.name,
            queue=settings.queue or declared.queue or default_queue,
            isolation=pending.definition.isolation,
            payload=self._payload,
            created_at=now,
            priority=declared.priority if settings.priority is None else settings.priority,
            due_at=settings.at or (now + settings.delay if settings.delay else None),
            options=_options(pending, now, self._code, self._trace),
            tenant=self._tenant,
            user=self._user,
            locale=settings.locale or self._scope.locale,
        )

    @property
    def _trace(self) -> str | None:
        return self._scope.traceparent or current_traceparent()

    @property
    def _tenant(self) -> str | None:
        return self.pending.settings.tenant or self._scope.tenant

    @property
    def _user(self) -> str | None:
        return self.pending.settings.user or self._scope.user


def _options(pending: PendingJob[Any], now: int, code: str, trace: str | None) -> bytes:
    """What this dispatch sets otherwise than its job declares, as it is kept; mostly nothing."""
    settings, declared = pending.settings, pending.definition.options
    declared_spans = (declared.retry_until, declared.expires)
    if (
        settings is NO_SETTINGS
        and declared_spans == (None, None)
        and declared.version == 1
        and not code
        and trace is None
    ):
        return b""
    options = DispatchOptions(
        tries=settings.tries,
        backoff=settings.backoff,
        timeout=settings.timeout,
        retry_until=_moment(settings.retry_until, declared.retry_until, now),
        expires=_moment(settings.expires, declared.expires, now),
        fingerprint=_fingerprints(pending)[0] if settings.idempotency_key else None,
        code=code or None,
        version=declared.version,
        trace=trace,
    )
    return b"" if options == NO_OPTIONS else encode(options)


def check_same(pending: PendingJob[Any], kept: JobRecord) -> None:
    """Raises IdempotencyConflict where the key has led to a job with another body."""
    if decode_options(kept.options).fingerprint not in _fingerprints(pending):
        raise IdempotencyConflict(pending.settings.idempotency_key or "")


def _fingerprints(pending: PendingJob[Any]) -> list[str]:
    return pending.seals.fingerprints(pending.definition, pending.args)


def _moment(given: Until | None, declared: int | None, now: int) -> int | None:
    """What the dispatch gives counts before the span that its job declares."""
    if given is not None:
        return given.moment if given.span is None else now + given.span
    return None if declared is None else now + declared
