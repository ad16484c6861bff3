"""Making the schedules of the code known to a store, those that have changed anew."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from tabur.drivers.contract import Driver
from tabur.errors import ConfigError
from tabur.model.schedules import Origin, ScheduleRecord
from tabur.model.ticks import Definition, decode_definition
from tabur.model.timing import times_of
from tabur.scheduler.entry import Declared

_log = logging.getLogger("tabur.scheduler")


def record(
    name: str,
    definition: Definition,
    *,
    origin: Origin,
    begin: int,
    stored: ScheduleRecord | None = None,
) -> ScheduleRecord:
    """A new schedule, whose first tick comes after `begin`, or the next revision of `stored`: when
    it is due next stays as it was, unless its timing has changed."""
    timing = definition.timing
    found = ScheduleRecord(
        name,
        origin,
        msgspec.json.encode(definition),
        timing.expression,
        timing.timezone,
        next_run_at=times_of(timing).after(begin),
    )
    if stored is None:
        return found
    found = replace(
        found,
        revision=stored.revision + 1,
        is_active=stored.is_active,
        last_run_at=stored.last_run_at,
        last_job=stored.last_job,
    )
    if (stored.cron_expression, stored.timezone) != (found.cron_expression, found.timezone):
        return found
    return replace(found, next_run_at=stored.next_run_at, waiting=stored.waiting)


def register(
    driver: Driver, declared: Iterable[Declared], *, begin: int, say: Callable[[str], None]
) -> int:
    """Put what the code declares into a store; what it does not declare any more goes. Two that do
    so at once put the same. Answers how many were made or changed. Raises StoreError."""
    wanted: list[ScheduleRecord] = []
    for each in declared:
        stored = driver.schedules.find(each.name)
        if stored is not None and stored.origin is Origin.TABLE:
            say(
                f"The schedule {each.name!r} of the code is left out: one of that name was made at "
                "run time (tabur schedule:delete removes it)."
            )
            continue
        wanted.append(_record(each, stored, begin))
    return driver.schedules.put(wanted, origin=Origin.CODE)


def _record(each: Declared, stored: ScheduleRecord | None, begin: int) -> ScheduleRecord:
    if stored is not None:
        try:
            if decode_definition(stored.definition) == each.definition:
                return stored
        except ConfigError as error:
            _log.warning("The schedule %s is written anew: %s", each.name, error)
    return record(each.name, each.definition, origin=Origin.CODE, begin=begin, stored=stored)
