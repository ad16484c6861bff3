"""What of a job is encrypted or signed on its way into a store, opened on its way back, and shown
to nobody. Stores keep bytes and know nothing of it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import msgspec

from tabur.config import Settings
from tabur.errors import SealError, UnknownJob
from tabur.jobs.envelope import Kind, body_of, kind_of, opened, sealed, signed
from tabur.jobs.keyring import KeyRing, new_key
from tabur.model.ids import id_text
from tabur.model.records import ClaimedJob, JobRecord, Owner
from tabur.model.ticks import JobCall

if TYPE_CHECKING:
    from tabur.jobs.definition import JobDefinition

#: What stands in place of what is not shown.
HIDDEN = "…"

_PAYLOAD, _RESULT, _CALL = "payload", "result", "schedule"


class Bodied(Protocol):
    """A job with its payload: a ClaimedJob, or a JobRecord."""

    @property
    def id(self) -> bytes: ...
    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> Owner: ...
    @property
    def payload(self) -> bytes: ...


class Seals:
    """Of one app. Its jobs declare what is encrypted; `sign` has the rest signed."""

    def __init__(
        self, ring: KeyRing, find: Callable[[str], JobDefinition], *, sign: bool = False
    ) -> None:
        """`find` raises UnknownJob."""
        self._ring = ring
        self._sign = sign
        self._find_job = find

    # into the store

    def payload(self, job: JobDefinition, body: bytes, job_id: bytes, owner: Owner) -> bytes:
        """As the store keeps it. Raises ConfigError where there is no key for it."""
        if not (self._sign or job.options.encrypted):
            return body
        place = _place(_PAYLOAD, job.name, owner, job_id)
        return self._closed(job.name, body, place, encrypted=job.options.encrypted)

    def result(self, job: ClaimedJob, body: bytes | None) -> bytes | None:
        """As the store keeps it: encrypted where the payload is, or by now would be. Raises
        ConfigError where there is no key for it."""
        if body is None or not self._is_encrypted(job):
            return body
        key = self._ring.sealing(f"The result of {job.name} is to be encrypted")
        return sealed(body, _place(_RESULT, job.name, job.owner, job.id), key)

    def call(self, call: JobCall) -> JobCall:
        """As the definition of a schedule keeps it. Raises ConfigError where there is no key."""
        encrypted = self._declares_encrypted(call.name)
        if not (self._sign or encrypted):
            return call
        place = _place(_CALL, call.name, Owner(call.tenant, call.user))
        body = self._closed(call.name, bytes(call.arguments), place, encrypted=encrypted)
        return _with_arguments(call, body)

    def fingerprints(self, job: JobDefinition, arguments: Any) -> list[str]:
        """Of name and arguments; the same for equal ones. See `digests`."""
        text = job.name.encode() + b"\0" + job.codec.canonical(arguments)
        return [each.hex() for each in self.digests(job, text)]

    def digests(self, job: JobDefinition, text: bytes) -> list[bytes]:
        """Of what is made of a job's arguments. Those of encrypted jobs are made with a key, for
        who reads the store could try arguments; then one with each key of the ring, the current one
        first. Raises ConfigError where there is none."""
        if not job.options.encrypted:
            return [sha256(text).digest()]
        self._ring.sealing(f"{job.name} is encrypted")
        return [hmac.digest(key.derived(b"fingerprint"), text, sha256) for key in self._ring.all]

    # out of it

    def opened_payload(self, job: Bodied) -> bytes:
        """The arguments as JSON. Raises SealError, also for what nobody has signed where all is to
        be."""
        if kind_of(job.payload) is Kind.PLAIN:
            if self._sign:
                raise _unsigned("Its payload")
            return job.payload
        place = _place(_PAYLOAD, job.name, job.owner, job.id)
        return opened(job.payload, place, self._ring, "Its payload")

    def opened_result(self, job: Bodied, result: bytes | None) -> bytes | None:
        """The result as JSON. Raises SealError."""
        if result is None or kind_of(result) is Kind.PLAIN:
            return result
        place = _place(_RESULT, job.name, job.owner, job.id)
        return opened(result, place, self._ring, f"The result of job {id_text(job.id)}")

    def opened_call(self, call: JobCall) -> bytes:
        """The arguments of a schedule's job as JSON. Raises SealError."""
        body = _in_call(call)
        if kind_of(body) is Kind.PLAIN:
            if self._sign:
                raise _unsigned("What its schedule keeps")
            return body
        place = _place(_CALL, call.name, Owner(call.tenant, call.user))
        return opened(body, place, self._ring, "What its schedule keeps")

    # for people

    def shown_payload(self, record: JobRecord) -> str:
        """The arguments as text, without what is not for everybody who may look at jobs."""
        return self._shown(record.name, record.payload)

    def shown_call(self, call: JobCall) -> Any:
        """The arguments of a schedule's job, as `shown_payload`, decoded."""
        text = self._shown(call.name, _in_call(call))
        return HIDDEN if text == HIDDEN else msgspec.json.decode(text)

    # under another key

    def renewed_payload(self, record: JobRecord, *, vouch: bool = False) -> bytes:
        """The payload as it would be kept if it were dispatched now; as it is where it stands so
        already. What nobody has signed, where all is to be, stays so unless the caller can `vouch`
        for it. Raises SealError for what no key opens, and ConfigError."""
        place = _place(_PAYLOAD, record.name, record.owner, record.id)
        encrypted = self._is_encrypted(record)
        return self._renewed(record.name, record.payload, place, encrypted=encrypted, vouch=vouch)

    def renewed_result(self, record: JobRecord) -> bytes | None:
        """As `renewed_payload`."""
        body = self.opened_result(record, record.result)
        if body is None or not self._is_encrypted(record):
            return record.result
        key = self._ring.sealing(f"The result of {record.name} is to be encrypted")
        return sealed(body, _place(_RESULT, record.name, record.owner, record.id), key)

    def renewed_call(self, call: JobCall, *, vouch: bool = False) -> JobCall:
        """As `renewed_payload`."""
        body, place = _in_call(call), _place(_CALL, call.name, Owner(call.tenant, call.user))
        encrypted = kind_of(body) is Kind.SEALED or self._declares_encrypted(call.name)
        renewed = self._renewed(call.name, body, place, encrypted=encrypted, vouch=vouch)
        return call if renewed == body else _with_arguments(call, renewed)

    def _renewed(
        self, name: str, body: bytes, place: bytes, *, encrypted: bool, vouch: bool
    ) -> bytes:
        if kind_of(body) is not Kind.PLAIN:
            body = opened(body, place, self._ring, "What is kept of it")
        elif not (vouch if self._sign else encrypted):
            return body
        return self._closed(name, body, place, encrypted=encrypted)

    def _closed(self, name: str, body: bytes, place: bytes, *, encrypted: bool) -> bytes:
        if encrypted:
            return sealed(body, place, self._ring.sealing(f"{name} is encrypted"))
        return signed(body, place, self._ring.sealing(f"{name} is to be signed (TABUR_SIGN)"))

    def _is_encrypted(self, job: Bodied) -> bool:
        return kind_of(job.payload) is Kind.SEALED or self._declares_encrypted(job.name)

    def _declares_encrypted(self, name: str) -> bool:
        found = self._find(name)
        return found is not None and found.options.encrypted

    def _shown(self, name: str, body: bytes) -> str:
        kind, job = kind_of(body), self._find(name)
        if kind is Kind.SEALED or (job is not None and job.options.encrypted):
            return HIDDEN
        body = body if kind is Kind.PLAIN else body_of(body)
        if job is None or not job.hidden:
            return body.decode("utf-8", "replace")
        try:
            arguments = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            return HIDDEN
        return msgspec.json.encode(
            {each: HIDDEN if each in job.hidden else value for each, value in arguments.items()}
        ).decode()

    def _find(self, name: str) -> JobDefinition | None:
        try:
            return self._find_job(name)
        except UnknownJob:
            return None


def seals_of(settings: Settings, find: Callable[[str], JobDefinition]) -> Seals:
    ring = KeyRing(settings.key, settings.previous_keys)
    return Seals(ring, find, sign=settings.sign)


def faked_seals(settings: Settings, find: Callable[[str], JobDefinition]) -> tuple[Seals, Seals]:
    """Of a fake, for which an app needs no key; and those of the app beside it, which open what was
    sealed in the fake, too."""
    key = new_key()
    own = [each for each in (settings.key, *settings.previous_keys) if each]
    beside = KeyRing(settings.key, (*settings.previous_keys, key))
    return (
        Seals(KeyRing(key, own), find, sign=settings.sign),
        Seals(beside, find, sign=settings.sign),
    )


def _unknown(name: str) -> NoReturn:
    raise UnknownJob(name)


#: Of a run that belongs to no app, or whose store is none: what is sealed does not open.
NO_SEALS = Seals(KeyRing(None), _unknown)


def _place(what: str, name: str, owner: Owner, job_id: bytes = b"") -> bytes:
    """Whose body it is, and which: in another place it does not open."""
    return msgspec.json.encode((what, job_id.hex(), name, owner.tenant, owner.user))


def _in_call(call: JobCall) -> bytes:
    """What a schedule keeps as text is in an envelope."""
    raw = bytes(call.arguments)
    return msgspec.json.decode(raw, type=str).encode() if raw[:1] == b'"' else raw


def _with_arguments(call: JobCall, body: bytes) -> JobCall:
    raw = body if kind_of(body) is Kind.PLAIN else msgspec.json.encode(body.decode())
    return msgspec.structs.replace(call, arguments=msgspec.Raw(raw))


def _unsigned(what: str) -> SealError:
    return SealError(
        f"{what} is not signed, and TABUR_SIGN lets only what is signed run. If it was dispatched "
        "before that was set: tabur keys:rotate --vouch, then tabur queue:retry"
    )
