"""Making the tables and bringing them up to date."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

from sqlalchemy import Dialect
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from tabur.drivers.database import schema
from tabur.drivers.database.store import Store
from tabur.errors import ConfigError, SchemaMissing
from tabur.model.clock import now_us
from tabur.model.findings import Finding, Level

#: What each version changed, as the statements that bring the one before up to it; with the cursor
#: to look with, or None for an empty database.
Step = Callable[[Store, Any], Sequence[str]]


def migrate(store: Store) -> Sequence[str]:
    """Apply what is missing; a second migration beside it waits and finds it done."""
    schema.for_engine(store.dialect.name)
    done: list[str] = []
    with store.migrating() as cursor:
        cursor.execute(_create(store.dialect, schema.versions))
        current = _current(cursor)
        if current > schema.VERSION:
            raise ConfigError(
                f"The tables in {store} are of version {current}, and this Tabur knows "
                f"{schema.VERSION}: install the newer Tabur that made them."
            )
        for version, (name, step) in _STEPS.items():
            if version > current:
                for statement in step(store, cursor):
                    cursor.execute(statement)
                cursor.execute(_reached(version))
                done.append(f"{version:04}_{name}")
    return done


def script(store: Store) -> Sequence[str]:
    """The statements that `migrate` would run on an empty database, as text."""
    schema.for_engine(store.dialect.name)
    statements = [_create(store.dialect, schema.versions)]
    for version, (_, step) in _STEPS.items():
        statements += [*step(store, None), _reached(version)]
    return [re.sub(r"\n\s*\n", "\n", each.strip()) for each in statements]


def examine(store: Store) -> Sequence[Finding]:
    """What is wrong with the version of the tables."""
    try:
        with store.read() as cursor:
            found = _current(cursor)
    except SchemaMissing:
        found = 0
    known = schema.VERSION
    if found == 0:
        what = f"The tables of Tabur are not in {store}."
        return [Finding("tables-missing", Level.ERROR, what, "tabur migrate")]
    if found < known:
        what = f"The tables in {store} are old: version {found}, and {known} is needed."
        return [Finding("tables-old", Level.ERROR, what, "tabur migrate")]
    if found > known:
        what = f"The tables in {store} are of version {found}, and this Tabur knows {known}."
        todo = "Install the newer Tabur that made them here too."
        return [Finding("tables-newer", Level.WARNING, what, todo)]
    return []


def version(store: Store) -> int:
    """The version of the tables. Raises SchemaMissing where there are none or older ones."""
    with store.read() as cursor:
        found = _current(cursor)
    if found < schema.VERSION:
        raise SchemaMissing(str(store), f"version {found}, {schema.VERSION} is needed")
    return found


def _job_tables(store: Store, _: Any) -> Sequence[str]:
    later = (*schema.SCHEDULING, *schema.BONDS)
    first = [each for each in schema.metadata.sorted_tables if each not in later]
    statements = _with_indexes(store, first)
    return [*statements, *store.after_tables(), *store.views(schema.views(store.words))]


def _with_indexes(store: Store, tables: Iterable[Any]) -> Sequence[str]:
    statements = []
    for table in tables:
        statements.append(_create(store.dialect, table))
        statements += [
            str(
                CreateIndex(index, if_not_exists=store.index_if_not_exists).compile(
                    dialect=store.dialect
                )
            )
            for index in sorted(table.indexes, key=lambda each: str(each.name))
            if store.dialect.name in index.info["on"]
        ]
    return statements


def _signals(store: Store, _: Any) -> Sequence[str]:
    """The counter of restarts; and what tells this database from every other, so that a caller's
    connection can be recognised by any address."""
    return [_unless_there("restart", 0), _unless_there("identity", uuid4().int >> 65)]


def _unless_there(name: str, value: int) -> str:
    there = f"SELECT 1 FROM job_signals s WHERE s.name = '{name}'"
    return (
        f"INSERT INTO job_signals (name, value) SELECT '{name}', {value} WHERE NOT EXISTS ({there})"
    )


def _control(store: Store, cursor: Any) -> Sequence[str]:
    """Pauses, the cursors of checkpoints, a worker's version and its pace; a new database has them
    since the first step. And the moment that tells a store which was restored from a backup."""
    return [
        *(_create(store.dialect, table) for table in (schema.pauses, schema.cursors)),
        *_column_unless_there(store.dialect, schema.workers.c.version, cursor),
        *_column_unless_there(store.dialect, schema.workers.c.pace, cursor),
        _unless_there("moment", 0),
    ]


def _scheduling(store: Store, _: Any) -> Sequence[str]:
    """Schedules, their ticks, and notes."""
    return _with_indexes(store, schema.SCHEDULING)


def _bonds(store: Store, _: Any) -> Sequence[str]:
    """Batches, what waits for what, and unique keys."""
    return _with_indexes(store, schema.BONDS)


def _column_unless_there(dialect: Dialect, column: Any, cursor: Any) -> Sequence[str]:
    """(Not every engine knows ADD COLUMN IF NOT EXISTS.)"""
    if cursor is None:
        return []
    cursor.execute(f"SELECT * FROM {column.table.name} WHERE 1 = 0")
    if column.name in (each[0] for each in cursor.description):
        return []
    made = CreateColumn(column).compile(dialect=dialect)
    return [f"ALTER TABLE {column.table.name} ADD COLUMN {made}"]


_STEPS: dict[int, tuple[str, Step]] = {
    1: ("job_tables", _job_tables),
    2: ("signals", _signals),
    3: ("control", _control),
    4: ("scheduling", _scheduling),
    5: ("bonds", _bonds),
}


def _create(dialect: Dialect, table: Any) -> str:
    return str(CreateTable(table, if_not_exists=True).compile(dialect=dialect))


def _current(cursor: Any) -> int:
    cursor.execute("SELECT max(version) FROM tabur_schema")
    return cursor.fetchone()[0] or 0


def _reached(number: int) -> str:
    return f"INSERT INTO tabur_schema (version, applied_at) VALUES ({number}, {now_us()})"
