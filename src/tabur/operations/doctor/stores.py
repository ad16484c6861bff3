"""What is wrong with a store, seen from this host."""

from __future__ import annotations

from collections.abc import Iterator

from tabur.drivers.contract import Driver, Filter, SelfExamining
from tabur.model.clock import SECOND, now_us
from tabur.model.findings import Finding, Level
from tabur.model.ids import id_text
from tabur.model.records import JobRecord
from tabur.model.states import State
from tabur.operations.doctor.patient import Patient

#: Seconds that the clocks of a host and a store may be apart.
APART = 2.0
#: Jobs that are looked at one by one, from the newest on; beyond them, so many of each age.
ALL_OF, SOME_OF, PAGE = 10_000, 500, 500
#: Names that are shown.
SHOWN = 5

_UNFINISHED = (State.PENDING, State.SCHEDULED, State.BLOCKED, State.PROCESSING)
_HOUR, _DAY = 3600 * SECOND, 86_400 * SECOND
_AGES = (_HOUR, 6 * _HOUR, *(days * _DAY for days in (1, 2, 4, 7, 14, 30, 60, 120, 365)))
_OF_NO_CODE = ("UnknownJob", "NewerJob")


def about_store(patient: Patient, driver: Driver) -> Iterator[Finding]:
    """Whether it answers, and what its driver knows of it."""
    found = driver.examine() if isinstance(driver, SelfExamining) else ()
    yield from found
    if not any(each.level is Level.ERROR for each in found):
        driver.check()


def about_clock(patient: Patient, driver: Driver) -> Iterator[Finding]:
    """Due times are judged by the store's clock, and a delay is counted from the host's."""
    ahead = _ahead(driver) / SECOND
    if abs(ahead) > APART:
        word = "behind" if ahead > 0 else "ahead of"
        yield Finding(
            "clock-skew",
            Level.WARNING,
            f"This host's clock is {abs(ahead):,.1f} s {word} the store's: jobs with a delay or a "
            "moment become due that much too "
            f"{'early' if ahead > 0 else 'late'}, and moments in logs do not match.",
            "Let both be set by NTP: timedatectl set-ntp true",
        )


def _ahead(driver: Driver) -> float:
    """Microseconds by which the store's clock is ahead of this host's, of three looks the one that
    was answered most quickly."""
    looks = []
    for _ in range(3):
        before = now_us()
        told = driver.now()
        after = now_us()
        looks.append((after - before, told - (before + after) / 2))
    return min(looks)[1]


def about_unknown_jobs(patient: Patient, driver: Driver) -> Iterator[Finding]:
    """Jobs whose name no code of the app bears: of those that wait or run, and of the latest that
    failed for that."""
    known = {name for each in patient.registry for name in (each.name, *each.options.aliases)}
    waiting: dict[str, JobRecord] = {}
    for record in _sample(driver):
        if record.name not in known:
            waiting.setdefault(record.name, record)
    if waiting:
        yield Finding(
            "jobs-unknown",
            Level.ERROR,
            f"Jobs wait in {driver.name} that this code does not know: {_named(waiting)}. Workers "
            "leave them for ten minutes, then they fail.",
            "Was a job renamed? Give it aliases=['old name']. Is other code to run them? Start its "
            "workers. Is nobody? tabur queue:clear --queue=…",
        )
    failed = {
        record.name: record
        for record in driver.inspection.list(Filter(states=(State.FAILED,)), limit=PAGE)
        if record.error is not None and record.error.type.rpartition(".")[2] in _OF_NO_CODE
    }
    if failed:
        yield Finding(
            "jobs-unknown-failed",
            Level.WARNING,
            f"Jobs in {driver.name} have failed because no worker knew them: {_named(failed)}.",
            "Deploy the code that knows them (or give a job aliases=['old name']), restart the "
            "workers (tabur queue:restart), then: tabur queue:retry all",
        )


def _sample(driver: Driver) -> Iterator[JobRecord]:
    """Jobs that are not finished: all of them, or, where there are very many, the newest and some
    of each age. (Ids begin with the moment at which they were made.)"""
    which, list_ = Filter(states=_UNFINISHED), driver.inspection.list
    after: bytes | None = None
    for _ in range(ALL_OF // PAGE):
        page = list_(which, limit=PAGE, after=after)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id
    now = driver.now()
    for age in _AGES:
        made = max(0, now - age) // 1000
        yield from list_(which, limit=SOME_OF, after=made.to_bytes(6, "big") + b"\xff" * 10)


def _named(records: dict[str, JobRecord]) -> str:
    shown = [f"{name} (as {id_text(each.id)})" for name, each in sorted(records.items())]
    more = f" and {len(shown) - SHOWN} other names" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
