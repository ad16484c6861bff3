"""Taking readings: what the rules ask for, asked of a store and of this host, and nothing else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tabur.alerts.kinds import Failure, Kind, learn
from tabur.alerts.readings import Disk, Ends, Line, Missed, Reading, Running
from tabur.alerts.rules import (
    Backlog,
    BacklogAge,
    DeadScheduler,
    DiskFull,
    FailureRate,
    MissedTick,
    NewError,
    NoWorker,
    Rule,
    StuckJob,
)
from tabur.config import Settings
from tabur.drivers.contract import Driver, Filter
from tabur.errors import UnknownJob
from tabur.jobs.registry import Registry
from tabur.model.beats import BEATS, read_beat
from tabur.model.clock import SECOND
from tabur.model.ids import id_text
from tabur.model.records import ALL_QUEUES, JobRecord, WorkerRecord, decode_options
from tabur.model.schedules import Decision
from tabur.model.states import State
from tabur.model.text import storable
from tabur.operations.health import is_alive

#: What is read of a store at most at one look: jobs that ended, failures, jobs that run, ticks.
MOST_ENDED, MOST_FAILED, MOST_RUNNING, MOST_TICKS = 20_000, 500, 2_000, 5_000
#: Ticks and running jobs read at once.
PAGE = 500
#: Workers on other hosts whose beats are remembered; those beyond count as alive.
MOST_BEATS = 1_500
#: Seconds without a beat after which a worker on another host counts for nothing.
SILENT = 90.0
#: Seconds that a job may run where neither it nor its dispatch says so: the worker's default.
TIMEOUT = 60.0
#: Failures are looked for from so much before the last look on, since some are settled late
#: (microseconds).
LATE = 120 * SECOND
#: The first look knows what has failed within so long before it (microseconds).
BEFORE = 7 * 86_400 * SECOND
_LONGEST_MESSAGE = 500

Beats = dict[str, tuple[int, int]]
R = TypeVar("R", bound=Rule)


class StoreLook:
    """One look at one store. `beats`, `kinds` and `failures_at` are what the last look left, and
    then what this one leaves."""

    def __init__(
        self,
        driver: Driver,
        rules: Sequence[Rule],
        registry: Registry,
        settings: Settings,
        *,
        beats: Beats,
        kinds: dict[str, Kind],
        failures_at: int | None,
    ) -> None:
        self._driver = driver
        self._rules = rules
        self._registry = registry
        self._silent = round(max(SILENT, 2 * settings.lost) * SECOND)
        self.beats = beats
        self.kinds = kinds
        self.failures_at = failures_at

    def reading(self) -> Reading:
        """Raises StoreUnavailable, SchemaMissing."""
        now = self._driver.now()
        scheduling = self._of(DeadScheduler)
        return Reading(
            scope=self._driver.name,
            now=now,
            lines=tuple(self._lines(now)) if any(self._of(Backlog, BacklogAge, NoWorker)) else (),
            ends={rule.asks: self._ends(rule, now) for rule in self._of(FailureRate)},
            kinds=tuple(self._kinds(now)),
            running=tuple(self._running()) if self._of(StuckJob) else (),
            missed=tuple(self._missed(now)),
            schedules=bool(scheduling) and self._has_schedules(),
            scheduler_seen=self._scheduler_seen() if scheduling else None,
        )

    def _of(self, *kinds: type[R]) -> list[R]:
        return [rule for rule in self._rules if isinstance(rule, kinds)]

    def _lines(self, now: int) -> Iterator[Line]:
        inspection = self._driver.inspection
        working = self._working(now)
        signals = self._driver.control.signals()
        paused = {each.queue for each in signals.pauses}
        old = min((rule.max for rule in self._of(BacklogAge)), default=None)
        for size in inspection.queues():
            oldest = None
            if size.pending and old is not None and size.oldest_pending is not None:
                oldest = size.oldest_pending
                if now - oldest > old * SECOND:
                    # The oldest may have been dispatched to run later: ask who is first in line.
                    oldest = inspection.backlog(size.queue, at_most=1).oldest
            yield Line(
                queue=size.queue,
                pending=size.pending,
                oldest=oldest,
                workers=sum(size.queue in each.queues for each in working),
                paused=signals.hold is not None or bool(paused & {size.queue, ALL_QUEUES}),
            )

    def _working(self, now: int) -> list[WorkerRecord]:
        """Workers that are alive: of this host by their process, of others by their beats."""
        before, self.beats = self.beats, {}
        working = []
        for worker in self._driver.workers.list():
            alive = is_alive(worker)
            if alive is None:
                name = hashlib.blake2b(worker.id.encode(), digest_size=5).hexdigest()
                beats, since = before.get(name, (-1, now))
                if beats != worker.beats:
                    since = now
                if len(self.beats) < MOST_BEATS:
                    self.beats[name] = (worker.beats, since)
                alive = now - since < self._silent
            if alive:
                working.append(worker)
        return working

    def _ends(self, rule: FailureRate, now: int) -> Ends:
        """Of a window in which more jobs end than are counted, the latest part."""
        count = self._driver.inspection.count
        window = rule.window
        while True:
            since = now - round(window * SECOND)
            failed, completed = (
                count(
                    Filter(states=(state,), queue=rule.queue, name=rule.job, ended_since=since),
                    at_most=MOST_ENDED,
                )
                for state in (State.FAILED, State.COMPLETED)
            )
            if failed + completed < MOST_ENDED or window < 1:
                return Ends(window, failed, completed)
            window /= 4

    def _kinds(self, now: int) -> Iterable[Kind]:
        rules = self._of(NewError)
        if not rules:
            return ()
        first = self.failures_at is None
        since = now - BEFORE if self.failures_at is None else self.failures_at - LATE
        which = Filter(states=(State.FAILED,), ended_since=since)
        failed = self._driver.inspection.list(which, limit=MOST_FAILED)
        window = round(rules[-1].window * SECOND)
        self.kinds = learn(self.kinds, map(_failure, failed), now=now, window=window, first=first)
        self.failures_at = now
        return self.kinds.values()

    def _running(self) -> Iterator[Running]:
        which = Filter(states=(State.PROCESSING,))
        after: bytes | None = None
        for _ in range(MOST_RUNNING // PAGE):
            page = self._driver.inspection.list(which, limit=PAGE, after=after)
            for record in page:
                if record.claimed_at is not None:
                    yield Running(
                        id=id_text(record.id),
                        name=record.name,
                        queue=record.queue,
                        since=record.claimed_at,
                        timeout=self._timeout(record),
                    )
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _timeout(self, record: JobRecord) -> float | None:
        timeout = decode_options(record.options).timeout
        if timeout is None:
            try:
                timeout = self._registry.get(record.name).options.timeout
            except UnknownJob:
                timeout = None
        return (TIMEOUT if timeout is None else timeout) or None

    def _missed(self, now: int) -> Iterator[Missed]:
        window = max((rule.window for rule in self._of(MissedTick)), default=None)
        if window is None:
            return
        since = now - round(window * SECOND)
        ticks = self._driver.schedules.ticks(None, limit=PAGE)
        if len(ticks) == PAGE and ticks[-1].due_at >= since:
            ticks = self._driver.schedules.ticks(None, limit=MOST_TICKS)
        missed: dict[str, Missed] = {}
        for tick in ticks:
            if tick.decision is Decision.MISSED and tick.decided_at >= since:
                last = missed.get(tick.schedule)
                missed[tick.schedule] = Missed(
                    schedule=tick.schedule,
                    count=1 if last is None else last.count + 1,
                    due_at=tick.due_at if last is None else last.due_at,
                    reason=tick.reason if last is None else last.reason,
                )
        yield from missed.values()

    def _has_schedules(self) -> bool:
        after = ""
        while page := self._driver.schedules.list(limit=PAGE, after=after):
            if any(each.is_active and each.next_run_at is not None for each in page):
                return True
            after = page[-1].name
        return False

    def _scheduler_seen(self) -> int | None:
        beats = (read_beat(note.value) for note in self._driver.notes.read(BEATS))
        return max((each.at for each in beats if each is not None), default=None)


def host_reading(host: str, rules: Iterable[Rule], settings: Settings, now: int) -> Reading:
    """How the disks of this host stand that Tabur writes to, and those that a rule names."""
    paths = [settings.attachments, settings.run, *_sqlite_file(settings)]
    asked = [rule for rule in rules if isinstance(rule, DiskFull)]
    paths += [Path(path) for rule in asked for path in rule.paths]
    return Reading(f"host:{host}", now, disks=tuple(_disks(paths)) if asked else ())


def _disks(paths: Iterable[Path]) -> Iterator[Disk]:
    import psutil

    seen: set[int] = set()
    for path in paths:
        there = next((each for each in (path, *path.absolute().parents) if each.exists()), None)
        if there is None:
            continue
        try:
            device = there.stat().st_dev
            usage = psutil.disk_usage(os.fspath(there))
        except OSError:
            continue  # what cannot be looked at is no full disk
        if device not in seen:
            seen.add(device)
            yield Disk(str(path.absolute()), usage.free, usage.used + usage.free)


def _sqlite_file(settings: Settings) -> list[Path]:
    scheme, _, rest = settings.database_url.partition("://")
    is_file = (
        scheme.partition("+")[0] == "sqlite" and rest.startswith("/") and ":memory:" not in rest
    )
    return [Path(rest[1:].partition("?")[0])] if is_file and len(rest) > 1 else []


def _failure(record: JobRecord) -> Failure:
    error = record.error
    return Failure(
        job_id=id_text(record.id),
        job=record.name,
        queue=record.queue,
        type=error.type if error else "",
        message=storable(error.message if error else "", limit=_LONGEST_MESSAGE),
        ended_at=record.ended_at or 0,
    )
