"""From the definition of a schedule to the job that a tick dispatches, and what of it is kept."""

from __future__ import annotations

from typing import Any

import msgspec

from tabur.dispatch.outgoing import Outgoing
from tabur.errors import PayloadError
from tabur.jobs.options import NO_SETTINGS, DispatchSettings
from tabur.jobs.pending import PendingJob, Sender
from tabur.jobs.registry import Registry
from tabur.jobs.scope import NOBODY
from tabur.model.records import NewJob
from tabur.model.ticks import Definition, JobCall


class Maker:
    """`queue`: of jobs that name none; `code`: the version of the application."""

    def __init__(self, registry: Registry, sender: Sender, *, queue: str, code: str) -> None:
        self._registry = registry
        self._sender = sender
        self._queue = queue
        self._code = code

    def pending(self, call: JobCall) -> PendingJob[Any]:
        """Raises UnknownJob, PayloadError."""
        settings = DispatchSettings(
            queue=call.queue,
            priority=call.priority,
            tries=call.tries,
            timeout=call.timeout,
            tenant=call.tenant,
            user=call.user,
            locale=call.locale,
        )
        return self.named(call.name, self.arguments(call), settings)

    def arguments(self, call: JobCall) -> dict[str, Any]:
        """Raises PayloadError."""
        body = self._sender.seals.opened_call(call)
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise PayloadError(f"{call.name}: its arguments cannot be read: {error}") from None

    def kept(self, definition: Definition) -> Definition:
        """As the store keeps it: sealed where its job's payload is. Raises ConfigError where there
        is no key for it."""
        return msgspec.structs.replace(definition, job=self._sender.seals.call(definition.job))

    def renewed(self, definition: Definition, *, vouch: bool) -> Definition:
        """As `kept`, of what is sealed already; see `Seals.renewed_payload`. Raises SealError."""
        renewed = self._sender.seals.renewed_call(definition.job, vouch=vouch)
        return msgspec.structs.replace(definition, job=renewed)

    def shown(self, call: JobCall) -> Any:
        """Its arguments, without what is shown to nobody."""
        return self._sender.seals.shown_call(call)

    def named(
        self, name: str, arguments: dict[str, Any], settings: DispatchSettings = NO_SETTINGS
    ) -> PendingJob[Any]:
        """Raises UnknownJob, PayloadError."""
        return PendingJob(self._registry.get(name), arguments, self._sender, settings)

    def job(self, pending: PendingJob[Any], now: int) -> NewJob:
        """A fresh one."""
        return Outgoing(pending, NOBODY, code=self._code).job(now, self._queue)
