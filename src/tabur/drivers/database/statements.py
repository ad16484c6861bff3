"""SQLAlchemy statements, compiled once, to be run on the DBAPI cursor: the hot path's form."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, Dialect, literal_column

ZERO: ColumnElement[int] = literal_column("0")
ONE: ColumnElement[int] = literal_column("1")


class Prepared:
    """A statement as text; its rows are plain tuples."""

    __slots__ = ("sql",)

    def __init__(self, statement: ClauseElement, dialect: Dialect, *names: str) -> None:
        """`names`: the order in which callers will give the parameters; checked here, so that a
        change of the statement cannot silently exchange two of them."""
        compiled: Any = statement.compile(dialect=dialect)
        self.sql: str = str(compiled)
        order = tuple(compiled.positiontup or ())
        if order != names:
            raise AssertionError(f"parameters of {self.sql!r} are {order}, not {names}")


def literal(value: str) -> ColumnElement[str]:
    """A constant of our own, written into the statement's text."""
    return literal_column(f"'{value}'")
