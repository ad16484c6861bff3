"""`jobs.schedules`: schedules in the store, made, edited, paused and deleted at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from tabur.drivers.contract import Driver
from tabur.errors import ConfigError, ScheduleConflict, ScheduleNotFound, SealError
from tabur.jobs.options import check_name
from tabur.jobs.pending import PendingJob
from tabur.model.clock import as_datetime, moment_us
from tabur.model.ids import id_text
from tabur.model.schedules import Origin, ScheduleRecord, Tick
from tabur.model.ticks import Definition, TickPolicy, decode_definition, make_policy
from tabur.model.timing import Times, parse_timing, times_of
from tabur.model.words import in_words
from tabur.scheduler.entry import LONGEST_NAME
from tabur.scheduler.making import Maker
from tabur.scheduler.registration import record
from tabur.scheduler.schedule import pending_of
from tabur.scheduler.targets import PREFIX, job_call

#: Tries of a change, where somebody else changes the same at the same time.
_TRIES = 5
_PAGE = 500


class StoredSchedule(msgspec.Struct, frozen=True):
    """A schedule as it stands in a store. Moments are UTC; `waiting` is a tick that has come and
    waits for the job of the one before. `problem`: why it cannot run."""

    name: str
    origin: Origin
    connection: str
    cron_expression: str
    timezone: str
    next_run_at: datetime | None
    last_run_at: datetime | None
    is_active: bool
    job: str
    runs: str
    arguments: Any
    policy: TickPolicy
    waiting: datetime | None
    last_job: str | None
    problem: str | None = None

    def in_words(self, language: str = "en") -> str:
        """`every 5 minutes (Asia/Baghdad)`. Raises ConfigError for a language that is not known."""
        return in_words(parse_timing(self.cron_expression, self.timezone), language)

    def upcoming(self, count: int) -> list[datetime]:
        """The next moments at which it is due. None while it is paused."""
        if self.next_run_at is None or not self.is_active:
            return []
        times = times_of(parse_timing(self.cron_expression, self.timezone))
        begin = moment_us(self.waiting or self.next_run_at)
        found = [begin]
        for at in times.upcoming(begin):
            if len(found) >= count:
                break
            found.append(at)
        return [_moment(at) for at in found[:count]]


class TickShown(msgspec.Struct, frozen=True):
    """What became of one tick. Moments are UTC."""

    schedule: str
    due_at: datetime
    decision: str
    decided_at: datetime
    reason: str
    job_id: str | None
    scheduler: str
    connection: str


class StoredSchedules:
    """`connection`: the default one; `driver_of` and `maker_of` answer for each."""

    def __init__(
        self,
        *,
        connection: str,
        connections: Callable[[], tuple[str, ...]],
        driver_of: Callable[[str], Driver],
        maker_of: Callable[[str], Maker],
        timezone: str,
    ) -> None:
        self._connection = connection
        self._connections = connections
        self._driver_of = driver_of
        self._maker_of = maker_of
        self._timezone = timezone

    def create(
        self,
        *,
        name: str,
        cron: str,
        job: Any,
        arguments: Mapping[str, Any] | None = None,
        timezone: str | None = None,
        is_active: bool = True,
        **policy: Any,
    ) -> StoredSchedule:
        """A new schedule of a job of the app's: a pending job, a job, or a job's name with its
        `arguments`. `cron` as `jobs.schedule.cron` has it; `missed`, `missed_limit`, `overlap`,
        `grace`. Raises ConfigError, PayloadError, UnknownJob, and ScheduleConflict where the name
        is taken."""
        check_name(name, "name", longest=LONGEST_NAME)
        connection, definition = self._definition(job, arguments, cron, timezone, policy)
        if self._found(name) is not None:
            raise ScheduleConflict(name, "exists already")
        driver = self._driver_of(connection)
        kept = self._maker_of(connection).kept(definition)
        made = record(name, kept, origin=Origin.TABLE, begin=driver.now())
        if not driver.schedules.put([replace(made, is_active=bool(is_active))]):
            raise ScheduleConflict(name, "exists already")
        return self.find(name)

    def edit(self, name: str, /, **changes: Any) -> StoredSchedule:
        """Change what `create` takes. When it is due next stays as it was unless its time is
        changed. Raises as `create`, ScheduleNotFound, and ConfigError for one of the code's."""
        known = ("cron", "timezone", "job", "arguments", "is_active", *TickPolicy.__struct_fields__)
        if unknown := sorted(set(changes) - set(known)):
            raise ConfigError(
                f"{', '.join(unknown)} cannot be changed; there are: {', '.join(known)}."
            )

        def change(stored: ScheduleRecord, driver: Driver) -> ScheduleRecord:
            if stored.origin is Origin.CODE:
                raise ConfigError(
                    f"{name!r} is declared in the application's code: change it there. (It can be "
                    "paused and resumed.)"
                )
            return self._edited(stored, driver, changes)

        return self._change(name, change)

    def pause(self, name: str) -> StoredSchedule:
        """Let it not be due until it is resumed. Raises ScheduleNotFound."""
        return self._change(name, lambda stored, driver: replace(stored, is_active=False))

    def resume(self, name: str) -> StoredSchedule:
        """Let it be due again, from now on: what came while it was paused was not missed. Raises
        ScheduleNotFound."""

        def change(stored: ScheduleRecord, driver: Driver) -> ScheduleRecord:
            if stored.is_active:
                return stored
            following = _times(stored).after(driver.now())
            return replace(stored, is_active=True, next_run_at=following, waiting=None)

        return self._change(name, change)

    def delete(self, name: str) -> bool:
        """Remove it; what became of its ticks stays readable. One of the code's is back when a
        scheduler begins. False where there is none."""
        found = self._found(name)
        return found is not None and self._driver_of(found[0]).schedules.delete(name)

    def find(self, name: str) -> StoredSchedule:
        """Raises ScheduleNotFound."""
        return self._shown(*self._must_find(name))

    def list(self) -> Iterator[StoredSchedule]:
        """All of every connection, by name, read page by page."""
        for connection in self._connections():
            driver, after = self._driver_of(connection), ""
            while page := driver.schedules.list(limit=_PAGE, after=after):
                yield from (self._shown(connection, each) for each in page)
                after = page[-1].name

    def history(
        self,
        name: str | None = None,
        *,
        limit: int = 100,
        before: datetime | None = None,
        below: str = "",
    ) -> Sequence[TickShown]:
        """What became of ticks, of one schedule or of all, the latest first, and of one moment by
        name, backwards. The next page of all begins where one has ended: `before` its last moment
        and `below` its last schedule."""
        at = None if before is None else moment_us(before)
        found: list[TickShown] = []
        for connection in self._connections():
            schedules = self._driver_of(connection).schedules
            ticks = schedules.ticks(name, limit=limit, before=at, below=below)
            found += (_tick_shown(connection, tick) for tick in ticks)
        found.sort(key=lambda tick: (tick.due_at, tick.schedule), reverse=True)
        return found[:limit]

    def run(self, name: str) -> str:
        """Dispatch its job now, beside its ticks, whatever its policies say; answers the job's id.
        Raises ScheduleNotFound, UnknownJob, PayloadError."""
        connection, _ = self._must_find(name)
        driver, maker = self._driver_of(connection), self._maker_of(connection)
        pending = self.pending(name)
        job = maker.job(pending, driver.now())
        driver.dispatching.dispatch([job])
        return id_text(job.id)

    def pending(self, name: str) -> PendingJob[Any]:
        """Its job, not dispatched. Raises as `run`."""
        connection, stored = self._must_find(name)
        return self._maker_of(connection).pending(decode_definition(stored.definition).job)

    def rotate(self, *, vouch: bool = False) -> tuple[int, dict[str, str]]:
        """Put what schedules keep under the current key. Answers of how many, and for which it
        could not be done, and why."""
        rotated, refused = 0, dict[str, str]()
        for each in self.list():
            try:
                rotated += each.problem is None and self._rotated(each.name, vouch=vouch)
            except (SealError, ScheduleConflict, ScheduleNotFound) as error:
                refused[each.name] = str(error)
        return rotated, refused

    def _rotated(self, name: str, *, vouch: bool) -> bool:
        changed = False

        def change(stored: ScheduleRecord, driver: Driver) -> ScheduleRecord:
            nonlocal changed
            before = decode_definition(stored.definition)
            after = self._maker_of(self._connection).renewed(before, vouch=vouch)
            changed = after != before
            return replace(stored, definition=msgspec.json.encode(after)) if changed else stored

        self._change(name, change)
        return changed

    def _definition(
        self,
        job: Any,
        arguments: Mapping[str, Any] | None,
        cron: str,
        timezone: str | None,
        policy: Mapping[str, Any],
    ) -> tuple[str, Definition]:
        timing = parse_timing(cron, timezone or self._timezone)
        unknown = sorted(set(policy) - set(TickPolicy.__struct_fields__))
        if unknown:
            known = ", ".join(TickPolicy.__struct_fields__)
            raise ConfigError(f"{', '.join(unknown)} is not known; there are: {known}.")
        if isinstance(job, str):
            if job.startswith(PREFIX):
                raise ConfigError(f"{job!r} belongs to a schedule of the code.")
            maker = self._maker_of(self._connection)
            pending = maker.named(job, dict(arguments or {}))
        else:
            pending = pending_of(job)
            if arguments is not None:
                raise ConfigError("arguments= goes with a job's name; else give them to the job.")
            self._maker_of(self._connection).pending(job_call(pending))  # one of this app's
        connection = pending.settings.connection or pending.definition.options.connection
        definition = Definition(timing, job_call(pending), make_policy(**policy))
        return connection or self._connection, definition

    def _edited(
        self, stored: ScheduleRecord, driver: Driver, changes: Mapping[str, Any]
    ) -> ScheduleRecord:
        before = decode_definition(stored.definition)
        timing = before.timing
        if "cron" in changes or "timezone" in changes:
            expression = changes.get("cron", timing.expression)
            timing = parse_timing(expression, changes.get("timezone") or timing.timezone)
        policy = {
            name: changes.get(name, getattr(before.policy, name))
            for name in TickPolicy.__struct_fields__
        }
        call = before.job
        if "job" in changes or "arguments" in changes:
            job = changes.get("job", call.name)
            arguments = changes.get("arguments")
            if isinstance(job, str) and arguments is None:
                maker = self._maker_of(self._connection)
                arguments = maker.arguments(call) if job == call.name else {}
            connection, made = self._definition(
                job, arguments, timing.expression, timing.timezone, {}
            )
            if self._driver_of(connection) is not driver:
                raise ConfigError(
                    "Its job would go to another connection: delete it, make it anew."
                )
            call = self._maker_of(connection).kept(made).job
        definition = replace(before, timing=timing, job=call, policy=make_policy(**policy))
        edited = record(
            stored.name, definition, origin=stored.origin, begin=driver.now(), stored=stored
        )
        is_active = bool(changes.get("is_active", stored.is_active))
        if is_active and not stored.is_active:
            edited = replace(edited, next_run_at=times_of(timing).after(driver.now()), waiting=None)
        return replace(edited, is_active=is_active, revision=stored.revision)

    def _change(
        self, name: str, change: Callable[[ScheduleRecord, Driver], ScheduleRecord]
    ) -> StoredSchedule:
        for _ in range(_TRIES):
            connection, stored = self._must_find(name)
            driver = self._driver_of(connection)
            wanted = change(stored, driver)
            if wanted == stored:
                return self._shown(connection, stored)
            if driver.schedules.put([replace(wanted, revision=stored.revision + 1)]):
                return self.find(name)
        raise ScheduleConflict(
            name, "is being changed by somebody else just now; look, then try again"
        )

    def _must_find(self, name: str) -> tuple[str, ScheduleRecord]:
        found = self._found(name)
        if found is None:
            from difflib import get_close_matches
            from itertools import islice

            names = [each.name for each in islice(self.list(), 2_000)]
            raise ScheduleNotFound(name, get_close_matches(name, names, n=3))
        return found

    def _found(self, name: str) -> tuple[str, ScheduleRecord] | None:
        for connection in self._connections():
            found = self._driver_of(connection).schedules.find(name)
            if found is not None:
                return connection, found
        return None

    def _shown(self, connection: str, stored: ScheduleRecord) -> StoredSchedule:
        problem: str | None = None
        definition: Definition | None = None
        try:
            definition = decode_definition(stored.definition)
        except ConfigError as error:
            problem = str(error)
        return StoredSchedule(
            name=stored.name,
            origin=stored.origin,
            connection=connection,
            cron_expression=stored.cron_expression,
            timezone=stored.timezone,
            next_run_at=as_datetime(stored.next_run_at),
            last_run_at=as_datetime(stored.last_run_at),
            is_active=stored.is_active,
            job=definition.job.name if definition else "",
            runs=(definition.runs or definition.job.name) if definition else "",
            arguments=self._maker_of(connection).shown(definition.job) if definition else None,
            policy=definition.policy if definition else TickPolicy(),
            waiting=as_datetime(stored.waiting),
            last_job=id_text(stored.last_job) if stored.last_job else None,
            problem=problem,
        )


def _times(stored: ScheduleRecord) -> Times:
    return times_of(decode_definition(stored.definition).timing)


def _tick_shown(connection: str, tick: Tick) -> TickShown:
    return TickShown(
        schedule=tick.schedule,
        due_at=_moment(tick.due_at),
        decision=tick.decision,
        decided_at=_moment(tick.decided_at),
        reason=tick.reason,
        job_id=id_text(tick.job) if tick.job else None,
        scheduler=tick.scheduler,
        connection=connection,
    )


def _moment(at: int) -> datetime:
    found = as_datetime(at)
    assert found is not None
    return found
