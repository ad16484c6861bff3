"""Jobs, outcomes and progress as the bytes that Redis keeps; lua/keys.lua says what is where.

The scripts read what has a fixed place. The rest is msgpack, which only this module reads; payloads
are nobody's business and stand last.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

import msgspec

from tabur.drivers.redis.bonds import packed_bonds
from tabur.errors import ConfigError
from tabur.model.keeping import FinishedJob
from tabur.model.outcome import Ending, Transition
from tabur.model.records import (
    Attachment,
    Attempt,
    ClaimedJob,
    ErrorInfo,
    Hold,
    JobRecord,
    NewJob,
    Pause,
    Progress,
)
from tabur.model.states import FINISHED, Isolation, State
from tabur.model.text import storable

#: What cannot be packed raises one of these.
DataErrors = (struct.error, OverflowError, UnicodeError)

NO_TOKEN = bytes(16)

KIND = {State.PENDING: b"p", State.SCHEDULED: b"s", State.BLOCKED: b"b", State.PROCESSING: b"r"}
END = {State.COMPLETED: b"c", State.FAILED: b"f", State.CANCELLED: b"x"}


def packed_job(job: NewJob) -> tuple[bytes, bytes, bytes]:
    """Id, stand and record of a new job; its bonds stand behind its stand. Raises ConfigError for a
    number that is too large."""
    try:
        lane = packed_lane(job.isolation, job.queue, job.priority)
        due = 0 if job.due_at is None else max(1, job.due_at)
        if due > _LATEST:
            raise OverflowError
        stand = _STAND.pack(due, job.attempts, job.exceptions, job.crashes, job.blockers) + lane
        if (bonds := job.bonds) is not None:
            stand += packed_bonds(bonds)
    except (struct.error, OverflowError):
        raise ConfigError("A number among the options is too large for the store.") from None
    about = _encode(
        (job.name, job.created_at, job.options or None, job.tenant, job.user, job.locale)
    )
    return job.id, stand, b"".join((lane, _LENGTH.pack(len(about)), about, job.payload))


@lru_cache(maxsize=1024)
def packed_lane(isolation: Isolation, queue: str, priority: int) -> bytes:
    return b"".join((ISOLATION[isolation], packed_queue(queue), _LENGTH.pack(_MIDDLE - priority)))


@lru_cache(maxsize=1024)
def packed_queue(queue: str) -> bytes:
    name = queue.encode()
    return struct.pack(">H", len(name)) + name


def claimed_job(stand: bytes, record: bytes, token: bytes) -> ClaimedJob:
    """`stand`: id, isolation and counters, as the script of exchange answers them."""
    kept = _Record(record)
    name, created_at, options, tenant, user, locale = kept.about
    attempts, exceptions, crashes = _COUNTERS.unpack_from(stand, 17)
    return ClaimedJob(
        id=stand[:16],
        name=name,
        queue=kept.queue,
        isolation=_ISOLATIONS[stand[16]],
        payload=kept.payload,
        created_at=created_at,
        attempts=attempts,
        exceptions=exceptions,
        crashes=crashes,
        options=options or b"",
        tenant=tenant,
        user=user,
        locale=locale,
        token=token,
    )


# settling


def packed_head(move: Transition, *, more: bool) -> bytes:
    due = 0 if move.due_at is None else max(1, move.due_at)
    return _HEAD.pack(
        move.id,
        move.token,
        END.get(move.to) or KIND[move.to],
        b"1" if more else b"0",
        move.attempts,
        move.exceptions,
        move.crashes,
        due,
    )


def packed_outcome(move: Transition) -> bytes:
    """Empty where nothing is to be remembered."""
    if move.to in FINISHED:
        ending = END[move.to]
    elif move.ending is None:
        return b""
    else:
        ending = _ENDING.get(move.ending, b"r")
    rest = _encode((move.worker, move.started_at, move.error, move.result))
    return _OUTCOME.pack(ending, move.ended_at, move.token, move.attempts) + rest


def packed_crash(worker: str, error: ErrorInfo) -> tuple[bytes, bytes]:
    """The client's part of the outcome of a claim whose process died under it: what stands before
    and behind the moment of the claim, which the script has, in eight bytes as in `work`."""
    before = b"".join((_ARRAY_OF_4, _encode(worker), _UINT_64))
    return before, _encode(error) + _encode(None)


def packed_calling_back(move: Transition, reason: str) -> bytes:
    """The outcome of a move that would have its job run again, if it was called back."""
    rest = _encode((move.worker, move.started_at, _cancelled(reason), move.result))
    return _OUTCOME.pack(b"x", move.ended_at, move.token, move.attempts) + rest


@lru_cache(maxsize=64)
def packed_reason(reason: str) -> bytes:
    """The client's part of the outcome of a job that is cancelled where it stands."""
    return _encode((None, None, _cancelled(reason), None))


def packed_progress(made: Progress) -> bytes:
    """A job reports what it likes, and a turn of its neighbours must not fail for it: numbers are
    capped and texts made storable."""
    return _encode(
        Progress(
            done=_capped(made.done),
            total=None if made.total is None else _capped(made.total),
            unit=None if made.unit is None else storable(made.unit, limit=400),
            message=None if made.message is None else storable(made.message, limit=4_000),
            warnings=_capped(made.warnings),
        )
    )


def packed_pause(until: int | None, reason: str | None) -> bytes:
    """All but the moment at which it begins."""
    return _encode((until, reason))


# reading


def pause(queue: bytes, packed: bytes) -> Pause:
    return Pause(queue.decode(), _since(packed), *_pause.decode(packed[8:]))


def hold(packed: bytes) -> Hold:
    _, reason = _pause.decode(packed[8:])
    return Hold(_since(packed), reason or "")


def job_record(
    job_id: bytes,
    record: bytes,
    work: bytes | None,
    outcome: bytes | None,
    progress: bytes | None,
) -> JobRecord:
    kept = _Record(record)
    name, created_at, options, tenant, user, locale = kept.about
    last = _Outcome(outcome) if outcome else None
    given: dict[str, Any] = {}
    if work is not None:
        given = _standing(work)
    elif last is not None:
        given = {"state": _STATE_OF_END[last.ending], "attempts": last.attempt, "crashes": 0}
    given.setdefault("worker", last.worker if last else None)
    return JobRecord(
        id=job_id,
        name=name,
        queue=kept.queue,
        priority=kept.priority,
        created_at=created_at,
        options=options or b"",
        tenant=tenant,
        user=user,
        locale=locale,
        started_at=last.started_at if last else None,
        ended_at=last.ended_at if last else None,
        error=last.error if last else None,
        result=last.result if last else None,
        progress=_progress.decode(progress) if progress else Progress(),
        payload=kept.payload,
        **given,
    )


def finished_job(job_id: bytes, record: bytes, payload: int, outcome: bytes) -> FinishedJob:
    """`record` without its payload, of which there are so many bytes."""
    past = _Outcome(outcome)
    return FinishedJob(
        id=job_id,
        name=_Record(record).about[0],
        state=_STATE_OF_END[past.ending],
        ended_at=past.ended_at,
        size=payload + len(past.result or b""),
    )


def new_again(job_id: bytes, work: bytes, record: bytes) -> NewJob:
    """The job as it would be dispatched into another store."""
    kept = _Record(record)
    name, created_at, options, tenant, user, locale = kept.about
    due, attempts, exceptions, crashes, _ = _STAND.unpack_from(work, 1)
    return NewJob(
        id=job_id,
        name=name,
        queue=kept.queue,
        isolation=_ISOLATIONS[work[25]],
        payload=kept.payload,
        created_at=created_at,
        priority=kept.priority,
        due_at=due or None,
        options=options or b"",
        tenant=tenant,
        user=user,
        locale=locale,
        attempts=attempts,
        exceptions=exceptions,
        crashes=crashes,
    )


def created_at(record: bytes) -> int:
    moment: int = _Record(record).about[1]
    return moment


def attempt(outcome: bytes) -> Attempt:
    past = _Outcome(outcome)
    return Attempt(
        attempt=past.attempt,
        ending=_ending(past),
        started_at=past.started_at,
        ended_at=past.ended_at,
        worker=past.worker,
        error=past.error,
    )


def packed_file(attachment: Attachment) -> tuple[bytes, bytes]:
    """The file's number and the rest of it."""
    return _LENGTH.pack(attachment.n), _encode(attachment)


def files(packed: bytes) -> list[Attachment]:
    found: list[Attachment] = []
    at = 0
    while at < len(packed):
        (length,) = _LENGTH.unpack_from(packed, at + 4)
        found.append(_file.decode(packed[at + 8 : at + 8 + length]))
        at += 8 + length
    return sorted(found, key=lambda each: each.n)


def with_payload(record: bytes, before: bytes, after: bytes) -> bytes | None:
    """The record with another payload; None where its payload is not `before`."""
    kept = _Record(record)
    if kept.payload != before:
        return None
    return record[: len(record) - len(before)] + after


def with_result(outcome: bytes, before: bytes, after: bytes) -> bytes | None:
    """The outcome with another result; None where its result is not `before`."""
    past = _Outcome(outcome)
    if past.result != before:
        return None
    rest = _encode((past.worker, past.started_at, past.error, after))
    return outcome[: 4 + _OUTCOME.size] + rest


class _Record:
    """What a job is: its lane, what is known about it, its payload."""

    __slots__ = ("about", "payload", "priority", "queue")

    def __init__(self, record: bytes) -> None:
        at = 7 + (record[1] << 8) + record[2]
        self.queue, self.priority = _lane(record[:at])
        end = at + 4 + int.from_bytes(record[at : at + 4], "big")
        self.about: tuple[str, int, bytes | None, str | None, str | None, str | None] = (
            _about.decode(record[at + 4 : end])
        )
        self.payload = record[end:]


class _Outcome:
    """One ended attempt."""

    __slots__ = ("attempt", "ended_at", "ending", "error", "result", "started_at", "worker")

    def __init__(self, outcome: bytes) -> None:
        self.ending, self.ended_at, _, self.attempt = _OUTCOME.unpack_from(outcome, 4)
        self.worker, self.started_at, self.error, self.result = _rest.decode(
            outcome[4 + _OUTCOME.size :]
        )


@lru_cache(maxsize=1024)
def _lane(packed: bytes) -> tuple[str, int]:
    """Queue and priority."""
    return packed[3:-4].decode(), _MIDDLE - int.from_bytes(packed[-4:], "big")


def _standing(work: bytes) -> dict[str, Any]:
    """Where an unfinished job stands, as fields of its record."""
    place, attempts, _, crashes, _ = _STAND.unpack_from(work, 1)
    state = _STATES[work[0]]
    given: dict[str, Any] = {"state": state, "attempts": attempts, "crashes": crashes}
    if state is State.PROCESSING:
        claim = 32 + (work[26] << 8) + work[27]
        given["cancelling"] = work[:1] == b"c"
        given["claimed_at"] = int.from_bytes(work[claim + 16 : claim + 24], "big")
        given["worker"] = work[claim + 24 :].decode()
    elif state is not State.PENDING:
        given["due_at"] = place or None
    return given


def _since(packed: bytes) -> int:
    return int.from_bytes(packed[:8], "big")


def _cancelled(reason: str) -> ErrorInfo:
    return ErrorInfo("JobCancelled", reason)


def _capped(number: int) -> int:
    return max(-(2**63), min(number, 2**63 - 1))


_STAND = struct.Struct(">QIIII")
_COUNTERS = struct.Struct(">III")
_HEAD = struct.Struct(">16s16sccIIIQ")
_OUTCOME = struct.Struct(">cQ16sI")
#: How msgpack begins four values, and a number of eight bytes.
_ARRAY_OF_4, _UINT_64 = b"\x94", b"\xcf"
_LENGTH = struct.Struct(">I")
#: Rank of priority 0.
_MIDDLE = 2**31 - 1


def _ending(past: _Outcome) -> Ending:
    ending = _ENDINGS[past.ending]
    crashed = past.error is not None and past.error.type.rpartition(".")[2] == _CRASHED
    return Ending.CRASHED if crashed and ending is Ending.RETRIED else ending


#: Numbers in Lua are floats: beyond this they are no longer whole. In the year 2255.
_LATEST = 2**53

ISOLATION = {Isolation.LOOP: b"l", Isolation.THREAD: b"t", Isolation.PROCESS: b"p"}
_ISOLATIONS = {packed[0]: isolation for isolation, packed in ISOLATION.items()}
_STATES = {packed[0]: state for state, packed in KIND.items()} | {
    ord("t"): State.BLOCKED,
    ord("c"): State.PROCESSING,
}
_STATE_OF_END = {packed: state for state, packed in END.items()}
_ENDING = {
    Ending.COMPLETED: b"c",
    Ending.FAILED: b"f",
    Ending.CANCELLED: b"x",
    Ending.RETRIED: b"r",
    Ending.RELEASED: b"l",
}
_ENDINGS = {packed: ending for ending, packed in _ENDING.items()}
#: Kept as `retried`, and told by its error: who knows no such ending reads it too.
_CRASHED = "JobCrashed"

_encode = msgspec.msgpack.Encoder().encode
_about = msgspec.msgpack.Decoder(tuple[str, int, bytes | None, str | None, str | None, str | None])
_rest = msgspec.msgpack.Decoder(tuple[str | None, int | None, ErrorInfo | None, bytes | None])
_progress = msgspec.msgpack.Decoder(Progress)
_pause = msgspec.msgpack.Decoder(tuple[int | None, str | None])
_file = msgspec.msgpack.Decoder(Attachment)
