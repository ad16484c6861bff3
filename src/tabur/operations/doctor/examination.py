"""All checks, in the order in which they are made. None of them can end the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from tabur.drivers.contract import Driver
from tabur.errors import ConfigError, SchemaMissing, StoreError, StoreUnreachable, TaburError
from tabur.model.findings import Finding, Level
from tabur.operations.doctor import files, settings, stores, work
from tabur.operations.doctor.patient import Checked, Diagnosis, Patient

Check = Callable[[Patient], Iterable[Finding]]
StoreCheck = Callable[[Patient, Driver], Iterable[Finding]]

OF_THE_APP: Mapping[str, Check] = {
    "settings": settings.about_settings,
}
OF_EACH_STORE: Mapping[str, StoreCheck] = {
    "store": stores.about_store,
    "clock": stores.about_clock,
    "jobs known to the code": stores.about_unknown_jobs,
    "workers": work.about_workers,
    "pauses": work.about_rest,
    "scheduler": work.about_scheduler,
}
OF_THE_HOST: Mapping[str, Check] = {
    "files and folders": files.about_folders,
    "log files": files.about_logs,
    "disk": files.about_disk,
}


def examine(patient: Patient) -> Diagnosis:
    """Never raises: a check that cannot be made is a finding."""
    checks = [
        *_each(patient, OF_THE_APP),
        *(each for name in patient.stores for each in _store(patient, name)),
        *_each(patient, OF_THE_HOST),
    ]
    return diagnosis(checks)


def diagnosis(checks: Iterable[Checked]) -> Diagnosis:
    made = tuple(checks)
    return Diagnosis(all(each.level in (None, Level.NOTE) for each in made), made)


def _each(patient: Patient, checks: Mapping[str, Check]) -> Iterator[Checked]:
    for name, check in checks.items():
        yield _checked(patient, name, None, partial(check, patient))


def _store(patient: Patient, connection: str) -> Iterator[Checked]:
    """What follows a store that cannot be worked with is left out: it would say the same."""
    try:
        driver = patient.stores[connection]()
    except ConfigError as error:
        refused = _finding("store-refused", error, "Mend this first: its jobs cannot run.")
        yield _checked(patient, "store", connection, lambda: [refused])
        return
    for name, check in OF_EACH_STORE.items():
        made = _checked(patient, name, connection, partial(check, patient, driver))
        yield made
        if name == "store" and any(each.name in CANNOT_WORK for each in made.findings):
            return


#: Findings after which a store answers no other question.
CANNOT_WORK = frozenset(
    {
        "redis-durability",
        "redis-eviction",
        "redis-old",
        "store-damaged",
        "store-refused",
        "store-unreachable",
        "tables-missing",
        "tables-old",
    }
)


def _checked(
    patient: Patient, name: str, connection: str | None, check: Callable[[], Iterable[Finding]]
) -> Checked:
    findings: list[Finding] = []
    try:
        findings.extend(check())
    except SchemaMissing as error:
        what, _, todo = str(error).partition(" Run: ")
        findings.append(Finding("tables-missing", Level.ERROR, what, todo or "tabur migrate"))
    except StoreError as error:
        findings.append(_unreachable(connection, error))
    except ConfigError as error:
        findings.append(_finding("store-refused", error, "Mend this first: its jobs cannot run."))
    except Exception as error:  # a check must not end the others
        text = f"This could not be looked at: {type(error).__name__}: {error}"
        findings.append(Finding("check-failed", Level.WARNING, text, "Look at it by hand."))
    hidden = [
        Finding(each.name, each.level, patient.hide(each.what), patient.hide(each.todo))
        for each in findings
    ]
    return Checked(name, connection, tuple(hidden))


def _unreachable(connection: str | None, error: StoreError) -> Finding:
    url = "REDIS_URL" if connection == "redis" else "DATABASE_URL"
    if isinstance(error, StoreUnreachable):
        todo = f"Is it running, and does {url} name it? Does a firewall stand between?"
    else:
        todo = f"Check {url} and the store's own log."
    return _finding("store-unreachable", error, todo)


def _finding(name: str, error: TaburError, todo: str) -> Finding:
    return Finding(name, Level.ERROR, " ".join(str(error).split()), todo)
