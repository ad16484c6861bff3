"""Schedules and their ticks, as bytes of which lua/scheduling.lua knows the first."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from tabur.drivers.redis import scripts
from tabur.drivers.redis.dispatching import BYTES_AT_ONCE, JOBS_AT_ONCE
from tabur.drivers.redis.layout import NO_TOKEN, DataErrors, packed_job
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys, Script
from tabur.errors import ConfigError
from tabur.model.schedules import (
    LATEST,
    Advance,
    Decision,
    DueSchedules,
    Origin,
    ScheduleRecord,
    Tick,
    check_name,
    check_record,
    checked,
)

#: Ticks that one script removes, so that it stays short.
CHUNK = 500


class RedisSchedules:
    """Up to 16 MB (and of moves, 5,000 ticks) go in one script; what is larger goes in parts, and
    what is to be removed with the last of them."""

    def __init__(self, link: Link, keys: Keys, now: Callable[[], Word]) -> None:
        self._link = link
        self._keys = keys.of_schedules()
        self._all_keys = keys.declared() + self._keys
        self._record = keys["schedules"]
        self._now = now

    def put(self, schedules: Sequence[ScheduleRecord], *, origin: Origin | None = None) -> int:
        for each in schedules:
            check_record(each)
        names = [each.name for each in schedules]
        *parts, last = _parts([_packed_schedule(each) for each in schedules])
        changed: int = sum(self._write(scripts.SCHEDULE_PUT, "", 0, *words) for words in parts)
        gone: list[Word] = ["", 0] if origin is None else [_ORIGIN[origin], len(names), *names]
        changed += self._write(scripts.SCHEDULE_PUT, *gone, *last)
        return changed

    def due(self, *, limit: int) -> DueSchedules:
        now, found, later = self._run(scripts.SCHEDULE_DUE, self._now(), limit)
        return DueSchedules(now, tuple(_schedules(found)), int(later) if later else None)

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        packed = [_packed_move(checked(move)) for move in moves]
        answers: list[bool] = []
        for moves_at_once, words in _counted(packed):
            made = self._link.run(
                scripts.SCHEDULE_ADVANCE,
                self._now(),
                moves_at_once,
                *words,
                keys=self._all_keys,
                durable=True,
            )
            answers += [answer == 1 for answer in made]
        return answers

    def find(self, name: str) -> ScheduleRecord | None:
        check_name(name)
        value = self._link.ask("HGET", self._record, name)
        return None if value is None else _schedule(name.encode(), value)

    def list(self, *, limit: int, after: str = "") -> Sequence[ScheduleRecord]:
        if after:
            check_name(after)
        first = f"({after}" if after else "-"
        return list(_schedules(self._run(scripts.SCHEDULE_LIST, first, limit)))

    def delete(self, name: str) -> bool:
        check_name(name)
        return bool(self._write(scripts.SCHEDULE_DELETE, name))

    def ticks(
        self, schedule: str | None, *, limit: int, before: int | None = None, below: str = ""
    ) -> Sequence[Tick]:
        for name in (schedule, below or None):
            if name is not None:
                check_name(name)
        bound = _MOMENT.pack(LATEST if before is None else min(max(before, 0), LATEST))
        if schedule is None:
            which = ("all", b"(" + bound + below.encode(), b"-")
        else:
            # Of that moment itself there is one, which comes before `below` or not.
            edge = b"[" if schedule < below else b"("
            name_ = schedule.encode()
            which = ("one", edge + name_ + bound, b"[" + name_ + _MOMENT.pack(0))
        words = iter(self._run(scripts.TICKS, *which, limit))
        return [_tick(place, value) for place, value in zip(words, words, strict=True)]

    def prune(self, *, before: int, limit: int) -> int:
        bound = b"(" + _MOMENT.pack(min(max(before, 0), LATEST))
        pruned = 0
        while pruned < limit:
            count = min(CHUNK, limit - pruned)
            gone = self._run(scripts.TICKS_PRUNE, bound, count)
            pruned += gone
            if gone < count:
                break
        return pruned

    def _run(self, script: Script, *words: Word) -> Any:
        return self._link.run(script, *words, keys=self._keys, again=True)

    def _write(self, script: Script, *words: Word) -> Any:
        """Never sent twice: it would answer that another one was first."""
        return self._link.run(script, *words, keys=self._keys, durable=True)


def _packed_schedule(record: ScheduleRecord) -> list[Word]:
    """Its name, the revision that is to be stored, and its value."""
    seen = record.revision - 1
    if not 0 <= seen < 2**63:
        return [record.name, b"never", b""]
    head = _HEAD.pack(
        record.revision,
        _shifted(record.next_run_at),
        b"1" if record.is_active else b"0",
        _ORIGIN[record.origin],
        _shifted(record.waiting),
        _shifted(record.last_run_at),
        record.last_job or NO_TOKEN,
    )
    rest = _encode((record.definition, record.cron_expression, record.timezone))
    return [record.name, _MOMENT.pack(seen), head + rest]


def _packed_move(move: Advance) -> list[Word]:
    words: list[Word] = [
        move.schedule.encode("utf-8", "surrogatepass"),
        _bounded(move.revision),
        _bounded(move.seen + 1),
        _MOMENT.pack(_shifted(move.next_run_at)),
        _MOMENT.pack(_shifted(move.waiting)),
        len(move.ticks),
    ]
    for tick in move.ticks:
        about = _encode(
            (tick.decision.value, tick.decided_at, tick.reason, tick.job, tick.scheduler)
        )
        ran = b""
        if tick.decision is Decision.DISPATCHED:
            ran = _MOMENT.pack(tick.due_at + 1) + (tick.job or NO_TOKEN)
        words += [_MOMENT.pack(tick.due_at), about, tick.job or b"", ran]
    words.append(len(move.jobs))
    try:
        for job in move.jobs:
            words += packed_job(job)
    except (ConfigError, *DataErrors) as error:
        raise ConfigError(f"A job of {move.schedule!r} cannot be stored: {error}") from None
    return words


def _schedules(flat: Sequence[bytes]) -> Iterator[ScheduleRecord]:
    words = iter(flat)
    return (_schedule(name, value) for name, value in zip(words, words, strict=True))


def _schedule(name: bytes, value: bytes) -> ScheduleRecord:
    revision, next_run_at, active, origin, waiting, last_run_at, job = _HEAD.unpack_from(value)
    definition, expression, timezone = _rest.decode(value[_HEAD.size :])
    return ScheduleRecord(
        name=name.decode(),
        origin=_ORIGINS[origin],
        definition=definition,
        cron_expression=expression,
        timezone=timezone,
        next_run_at=next_run_at - 1 if next_run_at else None,
        last_run_at=last_run_at - 1 if last_run_at else None,
        is_active=active == b"1",
        last_job=None if job == NO_TOKEN else job,
        waiting=waiting - 1 if waiting else None,
        revision=revision,
    )


def _tick(place: bytes, value: bytes) -> Tick:
    decision, decided_at, reason, job, scheduler = _about.decode(value)
    return Tick(
        schedule=place[8:].decode(),
        due_at=int.from_bytes(place[:8], "big"),
        decision=decision,
        decided_at=decided_at,
        reason=reason,
        job=job,
        scheduler=scheduler,
    )


def _parts(packed: Sequence[list[Word]]) -> list[list[Word]]:
    return [words for _, words in _counted(packed)] or [[]]


def _counted(packed: Sequence[list[Word]]) -> Iterator[tuple[int, list[Word]]]:
    """As much as one script may bring in, with how many it is."""
    words: list[Word] = []
    count = size = 0
    for each in packed:
        if count and (len(words) >= 4 * JOBS_AT_ONCE or size >= BYTES_AT_ONCE):
            yield count, words
            words, count, size = [], 0, 0
        words += each
        count += 1
        size += sum(len(word) for word in each if not isinstance(word, int))
    if count:
        yield count, words


def _shifted(moment: int | None) -> int:
    """As it is kept: 0 stands for none."""
    return 0 if moment is None else moment + 1


def _bounded(number: int) -> bytes:
    """What does not fit is equal to nothing that is stored."""
    return _MOMENT.pack(number) if 0 <= number < 2**63 else b""


_MOMENT = struct.Struct(">Q")
_HEAD = struct.Struct(">QQccQQ16s")
_ORIGIN = {Origin.CODE: b"c", Origin.TABLE: b"t"}
_ORIGINS = {packed: origin for origin, packed in _ORIGIN.items()}
_encode = msgspec.msgpack.Encoder().encode
_rest = msgspec.msgpack.Decoder(tuple[bytes, str, str])
_about = msgspec.msgpack.Decoder(tuple[Decision, int, str, bytes | None, str])
