"""Settings that are wrong where the app runs."""

from __future__ import annotations

from collections.abc import Iterator

from tabur.jobs.keyring import SHORTEST_KEY
from tabur.model.findings import Finding, Level
from tabur.operations.doctor.patient import PRODUCTION, Patient
from tabur.operations.health import ignored_settings

#: Jobs told by name.
NAMED = 3


def about_settings(patient: Patient) -> Iterator[Finding]:
    yield from _about_connection(patient)
    yield from _about_key(patient)
    for each in ignored_settings(patient.environment):
        yield Finding("setting-ignored", Level.NOTE, each.what, each.todo)


def _about_connection(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    level = Level.ERROR if patient.in_production else Level.NOTE
    used = (settings.connection, *settings.failover)
    where = f" This is {PRODUCTION} (TABUR_ENV)." if patient.in_production else ""
    if "sync" in used:
        yield Finding(
            "sync-in-production" if patient.in_production else "sync",
            level,
            "QUEUE_CONNECTION=sync runs each job inside the request that dispatches it: people "
            f"wait for it, and what fails is not tried again.{where}",
            "Set QUEUE_CONNECTION=database and start: tabur queue:work",
        )
    if "memory" in used:
        yield Finding(
            "memory-in-production" if patient.in_production else "memory",
            level,
            "QUEUE_CONNECTION=memory keeps jobs in the process that dispatches them: no worker "
            f"sees them, and they are lost with it.{where}",
            "Set QUEUE_CONNECTION=database, except in tests.",
        )


def _about_key(patient: Patient) -> Iterator[Finding]:
    key = patient.settings.key
    encrypted = sorted(each.name for each in patient.registry if each.options.encrypted)
    if not key and encrypted:
        yield Finding(
            "key-missing",
            Level.ERROR,
            f"TABUR_KEY is not set: {', '.join(encrypted[:NAMED])} cannot be encrypted, and so not "
            "be dispatched.",
            "tabur key:generate, the same key on every host.",
        )
    elif not key:
        yield Finding(
            "key-missing",
            patient.grave,
            "TABUR_KEY is not set: no link to the status of a job can be signed (read_token).",
            "tabur key:generate, the same key on every host.",
        )
    elif len(key) < SHORTEST_KEY:
        yield Finding(
            "key-weak",
            patient.grave,
            f"TABUR_KEY has {len(key)} characters: who guesses it signs links to any job. Nothing "
            "is encrypted with it.",
            "tabur key:generate --force, the same key on every host.",
        )
