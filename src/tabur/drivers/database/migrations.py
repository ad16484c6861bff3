"""Making the tables and bringing them up to date."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table
from sqlalchemy.schema import CreateIndex, CreateTable

from tabur.drivers.database import schema
from tabur.drivers.database.sqlite import SqliteFile
from tabur.errors import ConfigError, SchemaMissing
from tabur.model.clock import now_us


def migrate(file: SqliteFile) -> Sequence[str]:
    """Apply what is missing, in one transaction, so that a second one waits and finds it done."""
    done: list[str] = []
    with file.write(create=True) as cursor:
        cursor.execute(_ddl(file, schema.versions))
        current = cursor.execute("SELECT max(version) FROM tabur_schema").fetchone()[0] or 0
        if current > schema.VERSION:
            raise ConfigError(
                f"The tables in {file} are of version {current}, and this Tabur knows "
                f"{schema.VERSION}: install the newer Tabur that made them."
            )
        if current < 1:
            for table in schema.metadata.sorted_tables:
                cursor.execute(_ddl(file, table))
                for index in sorted(table.indexes, key=lambda each: str(each.name)):
                    cursor.execute(
                        str(CreateIndex(index, if_not_exists=True).compile(dialect=file.dialect))
                    )
            for name, query in schema.VIEWS.items():
                cursor.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {query}")
            cursor.execute("INSERT INTO tabur_schema VALUES (?, ?)", (1, now_us()))
            done.append("0001_job_tables")
    return done


def version(file: SqliteFile) -> int:
    """The version of the tables. Raises SchemaMissing where there are none or older ones."""
    with file.read() as connection:
        found = connection.execute("SELECT max(version) FROM tabur_schema").fetchone()[0]
    if not found or found < schema.VERSION:
        raise SchemaMissing(str(file), f"version {found or 0}, {schema.VERSION} is needed")
    return int(found)


def _ddl(file: SqliteFile, table: Table) -> str:
    return str(CreateTable(table, if_not_exists=True).compile(dialect=file.dialect))
