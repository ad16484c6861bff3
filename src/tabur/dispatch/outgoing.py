"""From a pending job to the record that a store keeps."""

from __future__ import annotations

from typing import Any

import msgspec

from tabur.dispatch.unique import uniquely
from tabur.errors import IdempotencyConflict
from tabur.events import JobQueued
from tabur.jobs.current import current_traceparent
from tabur.jobs.options import NO_SETTINGS, Until
from tabur.jobs.pending import PendingJob
from tabur.jobs.scope import Scope
from tabur.jobs.seals import Seals
from tabur.model.bonds import Bonds
from tabur.model.compositions import Source
from tabur.model.ids import id_text, idempotent_id, new_id
from tabur.model.records import (
    NO_OPTIONS,
    DispatchOptions,
    JobRecord,
    NewJob,
    Owner,
    decode_options,
    encode,
)


class Ties(msgspec.Struct, frozen=True):
    """How a job is tied to those that it is dispatched with."""

    id: bytes | None = None
    """That they know it by."""
    bonds: Bonds | None = None
    blockers: int = 0
    sources: tuple[Source, ...] = ()
    callback_of: bytes | None = None


_ALONE = Ties()


class Outgoing:
    """A job on its way to a store, with a fresh id or the one its idempotency key leads to, sealed
    as it is to be kept. `code` is the version of the application; `seals`: of its store, if not
    those of its app. Raises ConfigError where there is no key to seal it with."""

    __slots__ = (
        *("_code", "_payload", "_queue", "_scope", "_seals", "_ties", "_uniquely"),
        *("id", "pending"),
    )

    def __init__(
        self,
        pending: PendingJob[Any],
        scope: Scope,
        *,
        code: str = "",
        ties: Ties = _ALONE,
        seals: Seals | None = None,
    ) -> None:
        self.pending = pending
        self._scope = scope
        self._code = code
        self._ties = ties
        self._seals = seals or pending.sender.seals
        key = pending.settings.idempotency_key
        owner = Owner(self._tenant, self._user)
        self.id = ties.id or (idempotent_id((owner.tenant, owner.user), key) if key else new_id())
        # Here, and not when it is sent: after a caller's commit it is too late to say no.
        self._payload = self._seals.payload(pending.definition, pending.payload, self.id, owner)
        # What waits for a job that was not kept would wait for ever.
        self._uniquely = uniquely(pending, self._tenant, self._seals) if ties is _ALONE else None

    @property
    def refuses(self) -> bool:
        """Who dispatches it while another job holds its unique key is to get an error."""
        return self._uniquely is not None and self._uniquely.refuses

    def job(self, now: int, default_queue: str) -> NewJob:
        """The record that the store keeps. Its spans begin at `now`, by the store's clock: that of
        this host may be wrong."""
        pending, settings = self.pending, self.pending.settings
        declared = pending.definition.options
        delay = settings.delay or (self._uniquely.debounce if self._uniquely else 0)
        self._queue = settings.queue or declared.queue or default_queue
        return NewJob(
            id=self.id,
            name=pending.definition.name,
            queue=self._queue,
            isolation=pending.definition.isolation,
            payload=self._payload,
            created_at=now,
            priority=declared.priority if settings.priority is None else settings.priority,
            due_at=settings.at or (now + delay if delay else None),
            blockers=self._ties.blockers,
            options=self._options(now),
            tenant=self._tenant,
            user=self._user,
            locale=settings.locale or self._scope.locale,
        )

    def queued(self, connection: str) -> JobQueued:
        """What is told once the store has it."""
        return JobQueued(
            connection=connection,
            job_id=id_text(self.id),
            name=self.pending.definition.name,
            queue=self._queue,
            attempt=1,
            tenant=self._tenant,
            user=self._user,
        )

    def check_same(self, kept: JobRecord) -> None:
        """Raises IdempotencyConflict where its key has led to a job with another body."""
        if decode_options(kept.options).fingerprint not in self._fingerprints():
            raise IdempotencyConflict(self.pending.settings.idempotency_key or "")

    def _options(self, now: int) -> bytes:
        """What this dispatch sets otherwise than its job declares, as it is kept; mostly
        nothing."""
        settings, declared = self.pending.settings, self.pending.definition.options
        trace, ties = self._trace, self._all_ties
        declared_spans = (declared.retry_until, declared.expires)
        if (
            settings is NO_SETTINGS
            and declared_spans == (None, None)
            and declared.version == 1
            and not self._code
            and trace is None
            and ties is _ALONE
        ):
            return b""
        options = DispatchOptions(
            tries=settings.tries,
            backoff=settings.backoff,
            timeout=settings.timeout,
            retry_until=_moment(settings.retry_until, declared.retry_until, now),
            expires=_moment(settings.expires, declared.expires, now),
            fingerprint=self._fingerprints()[0] if settings.idempotency_key else None,
            code=self._code or None,
            version=declared.version,
            trace=trace,
            bonds=ties.bonds,
            sources=ties.sources,
            callback_of=ties.callback_of,
        )
        return b"" if options == NO_OPTIONS else encode(options)

    def _fingerprints(self) -> list[str]:
        return self._seals.fingerprints(self.pending.definition, self.pending.args)

    @property
    def _all_ties(self) -> Ties:
        if self._uniquely is None:
            return self._ties
        return Ties(bonds=Bonds(unique=self._uniquely.unique))

    @property
    def _trace(self) -> str | None:
        return self._scope.traceparent or current_traceparent()

    @property
    def _tenant(self) -> str | None:
        return self.pending.settings.tenant or self._scope.tenant

    @property
    def _user(self) -> str | None:
        return self.pending.settings.user or self._scope.user


def _moment(given: Until | None, declared: int | None, now: int) -> int | None:
    """What the dispatch gives counts before the span that its job declares."""
    if given is not None:
        return given.moment if given.span is None else now + given.span
    return None if declared is None else now + declared
