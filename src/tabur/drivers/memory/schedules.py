"""Schedules, their ticks, and notes: the reference."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tabur.drivers.memory.dispatching import MemoryDispatching
from tabur.drivers.memory.store import MemoryStore
from tabur.model.schedules import (
    Advance,
    Decision,
    DueSchedules,
    Note,
    Origin,
    ScheduleRecord,
    Tick,
    check_name,
    check_note,
    check_record,
    checked,
)


class MemorySchedules:
    def __init__(self, store: MemoryStore, dispatching: MemoryDispatching) -> None:
        self._store = store
        self._dispatching = dispatching
        self._schedules: dict[str, ScheduleRecord] = {}
        self._ticks: dict[tuple[str, int], Tick] = {}

    def put(self, schedules: Sequence[ScheduleRecord], *, origin: Origin | None = None) -> int:
        for each in schedules:
            check_record(each)
        changed = 0
        with self._store.lock:
            for given in schedules:
                stored = self._schedules.get(given.name)
                if given.revision != (stored.revision if stored else 0) + 1:
                    continue
                if stored is not None:
                    kept = {"last_run_at": stored.last_run_at, "last_job": stored.last_job}
                    given = replace(given, **kept)  # noqa: PLW2901  # what is kept of it
                self._schedules[given.name] = given
                changed += 1
            if origin is not None:
                names = {each.name for each in schedules}
                for stored in list(self._schedules.values()):
                    if stored.origin is origin and stored.name not in names:
                        del self._schedules[stored.name]
        return changed

    def due(self, *, limit: int) -> DueSchedules:
        with self._store.lock:
            now = self._store.clock()
            waiting = sorted(
                (each.next_run_at, each.name)
                for each in self._schedules.values()
                if each.is_active and each.next_run_at is not None
            )
            due = [self._schedules[name] for at, name in waiting if at <= now]
            later = next((at for at, _ in waiting if at > now), None)
            return DueSchedules(now, tuple(due[:limit]), later)

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        fitting = [checked(move) for move in moves]
        with self._store.lock:
            return [self._advance(move) for move in fitting]

    def _advance(self, move: Advance) -> bool:
        stored = self._schedules.get(move.schedule)
        if (
            stored is None
            or not stored.is_active
            or (stored.revision, stored.next_run_at) != (move.revision, move.seen)
        ):
            return False
        new = [tick for tick in move.ticks if (tick.schedule, tick.due_at) not in self._ticks]
        self._ticks |= {(tick.schedule, tick.due_at): tick for tick in new}
        jobs = {tick.job for tick in new}
        self._dispatching.dispatch([job for job in move.jobs if job.id in jobs])
        ran = [tick for tick in new if tick.decision is Decision.DISPATCHED]
        self._schedules[stored.name] = replace(
            stored,
            next_run_at=move.next_run_at,
            waiting=move.waiting,
            last_run_at=ran[-1].due_at if ran else stored.last_run_at,
            last_job=ran[-1].job if ran else stored.last_job,
        )
        return True

    def find(self, name: str) -> ScheduleRecord | None:
        check_name(name)
        with self._store.lock:
            return self._schedules.get(name)

    def list(self, *, limit: int, after: str = "") -> Sequence[ScheduleRecord]:
        if after:
            check_name(after)
        with self._store.lock:
            names = sorted(name for name in self._schedules if name > after)
            return [self._schedules[name] for name in names[:limit]]

    def delete(self, name: str) -> bool:
        check_name(name)
        with self._store.lock:
            return self._schedules.pop(name, None) is not None

    def ticks(
        self, schedule: str | None, *, limit: int, before: int | None = None, below: str = ""
    ) -> Sequence[Tick]:
        for name in (schedule, below or None):
            if name is not None:
                check_name(name)
        with self._store.lock:
            places = sorted((at, name) for name, at in self._ticks)
            found = [
                self._ticks[name, at]
                for at, name in reversed(places)
                if schedule in (None, name) and (before is None or (at, name) < (before, below))
            ]
        return found[:limit]

    def prune(self, *, before: int, limit: int) -> int:
        with self._store.lock:
            old = sorted((at, name) for name, at in self._ticks if at < before)[:limit]
            for at, name in old:
                del self._ticks[name, at]
            return len(old)


class MemoryNotes:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._notes: dict[str, Note] = {}

    def read(self, prefix: str) -> Sequence[Note]:
        if prefix:
            check_name(prefix)
        with self._store.lock:
            return [note for name, note in sorted(self._notes.items()) if name.startswith(prefix)]

    def write(self, name: str, value: bytes, *, revision: int) -> bool:
        check_name(name)
        check_note(value)
        with self._store.lock:
            if not self._stands_at(name, revision):
                return False
            self._notes[name] = Note(name, value, revision + 1)
            return True

    def erase(self, name: str, *, revision: int) -> bool:
        check_name(name)
        with self._store.lock:
            return self._stands_at(name, revision) and self._notes.pop(name, None) is not None

    def _stands_at(self, name: str, revision: int) -> bool:
        note = self._notes.get(name)
        return revision == (note.revision if note else 0)
