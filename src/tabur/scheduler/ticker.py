"""One store's schedules: looks at what is due, decides it, and writes it down with its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import ConfigError, PayloadError, StoreError, UnknownJob
from tabur.jobs.pending import PendingJob
from tabur.model.clock import SECOND
from tabur.model.records import NewJob
from tabur.model.schedules import Advance, Decision, DueSchedules, Origin, ScheduleRecord, Tick
from tabur.model.states import FINISHED
from tabur.model.ticks import Choices, decide_ticks, decode_definition
from tabur.model.timing import times_of
from tabur.scheduler.entry import Declared
from tabur.scheduler.making import Maker
from tabur.scheduler.registration import register

_log = logging.getLogger("tabur.scheduler")

#: Schedules that are decided at once.
BATCH = 200
#: Seconds for which a schedule that this code does not know is left to other schedulers: while a
#: new version is deployed, some know it.
PATIENCE = 600.0
#: Looks in one go: each that has found something is followed by another, which then tells when the
#: next is due.
ROUNDS = 20
#: Seconds until what could not be decided is looked at again.
AGAIN = 60


class Looked(msgspec.Struct, frozen=True):
    """`now` and `next_due` by the store's clock; `left`: how many are due and left to others."""

    now: int
    next_due: int | None
    dispatched: int = 0
    left: int = 0


class _Left(Exception):
    """Not for this scheduler, as it seems; with the reason."""


class Ticker:
    """`declared`: the code's schedules for this store; `name`: of this scheduler; `say`: where it
    tells what it starts; `drain`: of a store that runs jobs where they are dispatched."""

    def __init__(
        self,
        driver: Driver,
        declared: Mapping[str, Declared],
        maker: Maker,
        *,
        name: str,
        say: Callable[[str], None],
        drain: Callable[[], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.driver = driver
        self.name = name
        self._declared = declared
        self._maker = maker
        self._say = say
        self._drain = drain
        self._clock = clock
        self._left: dict[tuple[str, int], float] = {}
        """Since when what is left to others is seen due, by name and revision."""

    def register(self, *, begin: int | None = None) -> int:
        """Make the code's schedules known; new ones begin after `begin`, else now. Raises
        StoreError, and ConfigError where there is no key to seal with."""
        begin = self.driver.now() if begin is None else begin
        kept = self._maker.kept
        declared = [
            msgspec.structs.replace(each, definition=kept(each.definition))
            for each in self._declared.values()
        ]
        return register(self.driver, declared, begin=begin, say=self._say)

    def tick(self) -> Looked:
        """Decide all that is due. Raises StoreError: then it is unknown what was written, and
        looking again is safe."""
        dispatched = 0
        seen: set[tuple[str, int]] = set()
        found = self._due()
        for _ in range(ROUNDS):
            moves = [each for each in map(self._decided(found.now, seen), found.due) if each]
            if not moves:
                break
            dispatched += self._advance(moves)
            found = self._due()
        for gone in self._left.keys() - seen:
            del self._left[gone]
        if dispatched and self._drain is not None:
            self._drain()
        return Looked(found.now, found.next_due, dispatched, len(self._left))

    def _due(self) -> DueSchedules:
        # What is left to others must not crowd out what is not.
        return self.driver.schedules.due(limit=BATCH + len(self._left))

    def _decided(
        self, now: int, seen: set[tuple[str, int]]
    ) -> Callable[[ScheduleRecord], Advance | None]:
        def decide(record: ScheduleRecord) -> Advance | None:
            key = record.name, record.revision
            seen.add(key)
            try:
                return self._decide(record, now)
            except StoreError:
                raise
            except (_Left, ConfigError, UnknownJob) as why:
                since = self._left.setdefault(key, self._clock())
                if self._clock() - since < PATIENCE:
                    return None
                del self._left[key]
                return _put_off(record, now, str(why), self.name)
            except Exception as error:  # a defect of ours must not stop the others
                _log.exception("The schedule %s could not be decided", record.name)
                return _put_off(record, now, f"{type(error).__name__}: {error}", self.name)

        return decide

    def _decide(self, record: ScheduleRecord, now: int) -> Advance:
        definition = decode_definition(record.definition)
        declared = self._declared.get(record.name) if record.origin is Origin.CODE else None
        if definition.conditional and declared is None:
            raise _Left("its conditions are not in this version of the code")
        unfit: str | None = None
        pending: PendingJob[Any] | None = None
        try:
            pending = self._maker.pending(definition.job)
        except PayloadError as error:
            unfit = f"its arguments do not fit: {error}"

        def refuses(at: int) -> str | None:
            return unfit if declared is None else unfit or declared.refuses()

        def job(at: int) -> NewJob:
            assert pending is not None  # refused otherwise
            return self._maker.job(pending, now)

        choices = Choices(lambda: self._still_runs(record.last_job), refuses, job)
        return decide_ticks(record, definition, now, choices, scheduler=self.name)

    def _still_runs(self, job_id: bytes | None) -> bool:
        if job_id is None:
            return False
        found = self.driver.inspection.find(job_id)
        return found is not None and found.state not in FINISHED

    def _advance(self, moves: Sequence[Advance]) -> int:
        """Answers how many jobs were dispatched."""
        if not moves:
            return 0
        try:
            answers = self.driver.schedules.advance(moves)
        except StoreError:
            raise
        except Exception:
            if len(moves) > 1:  # one that cannot be written must not hold up its neighbours
                return sum(self._advance([each]) for each in moves)
            _log.exception("The ticks of %s cannot be written", moves[0].schedule)
            self._left[moves[0].schedule, moves[0].revision] = self._clock()
            return 0
        dispatched = 0
        for done, move in zip(answers, moves, strict=True):
            if done:
                dispatched += self._tell(move)
        return dispatched

    def _tell(self, move: Advance) -> int:
        count = 0
        for tick in move.ticks:
            if tick.decision is Decision.DISPATCHED:
                count += 1
                self._say(f"Running scheduled command: {move.schedule}")
                _log.info("Running scheduled command: %s", move.schedule)
        missed = [tick for tick in move.ticks if tick.decision is Decision.MISSED]
        if missed:  # one line, however many there are
            ticks = "a tick" if len(missed) == 1 else f"{len(missed):,} ticks"
            _log.warning("%s: %s missed; the last %s", move.schedule, ticks, missed[-1].reason)
        return count


def _put_off(record: ScheduleRecord, now: int, why: str, name: str) -> Advance:
    """One that cannot be decided: its tick is skipped, and it is looked at again later."""
    assert record.next_run_at is not None
    tick = Tick(record.name, record.next_run_at, Decision.SKIPPED, now, why[:500], scheduler=name)
    try:
        following = times_of(decode_definition(record.definition).timing).after(now)
    except ConfigError:
        following = now + AGAIN * AGAIN * SECOND
    return Advance(record.name, record.revision, record.next_run_at, (tick,), following)
