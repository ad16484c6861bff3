"""SQLAlchemy statements, compiled once, to be run on the DBAPI cursor: the hot path's form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

from sqlalchemy import ClauseElement, ColumnElement, Dialect, literal_column, text

ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")

Row = tuple[Any, ...]


class Statement(Protocol):
    """A statement that is made once. `place` is where it runs: a cursor of ours, or a caller's
    connection. Values are given in the order of the names that it was made with."""

    def run(self, place: Any, *values: object) -> int:
        """Answers how many rows it changed."""

    def one(self, place: Any, *values: object) -> Row | None: ...

    def all(self, place: Any, *values: object) -> Sequence[Row]: ...

    def many(self, place: Any, rows: Sequence[Row]) -> int:
        """Once for each row; answers how many it changed in all."""


class Prepared:
    """A statement as text, for our own cursors; its rows are plain tuples."""

    __slots__ = ("sql",)

    def __init__(self, statement: ClauseElement | str, dialect: Dialect, *names: str) -> None:
        """`names`: the order in which callers will give the parameters; checked here, so that a
        change of the statement cannot silently exchange two of them. A text has them as `:name`."""
        if isinstance(statement, str):
            statement = text(statement)
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = str(compiled)
        order = tuple(compiled.positiontup or ())
        if order != names:
            raise AssertionError(f"parameters of {self.sql!r} are {order}, not {names}")

    def run(self, cursor: Any, *values: object) -> int:
        """Answers how many rows it changed."""
        cursor.execute(self.sql, values)
        return cast(int, cursor.rowcount)

    def one(self, cursor: Any, *values: object) -> Row | None:
        cursor.execute(self.sql, values)
        return cast(Row | None, cursor.fetchone())

    def all(self, cursor: Any, *values: object) -> Sequence[Row]:
        cursor.execute(self.sql, values)
        return cast(Sequence[Row], cursor.fetchall())

    def many(self, cursor: Any, rows: Sequence[Row]) -> int:
        """Once for each row; answers how many it changed in all."""
        if not rows:
            return 0
        if len(rows) == 1:  # half the price of executemany for one
            cursor.execute(self.sql, rows[0])
        else:
            cursor.executemany(self.sql, rows)
        return cast(int, cursor.rowcount)


class Keyed(Protocol):
    """A change of all rows that have one of some keys, or a look at them."""

    def run(self, place: Any, keys: Iterable[object], *values: object) -> int:
        """Answers how many rows it changed; without keys none."""

    def all(self, place: Any, keys: Iterable[object], *values: object) -> Sequence[Row]: ...


class Inserting(Protocol):
    """An insert of many narrow rows."""

    def many(self, place: Any, rows: Sequence[Row]) -> object: ...


class InsertingNew(Protocol):
    """The same, passing over what is known."""

    def many(self, place: Any, rows: Sequence[Row]) -> int:
        """Answers how many rows it has inserted."""


def first(statement: Any, count: Any) -> Any:
    """At most `count` rows of a select. (Without an offset of our own SQLite's dialect adds one as
    a parameter.)"""
    return statement.limit(count).offset(ZERO)


def literal(value: str) -> ColumnElement[str]:
    """A constant of our own, written into the statement's text."""
    return literal_column(f"'{value}'")
