"""Statements as text: values in it, and several in one round trip.

The clients for this server put values into the text as well, each in Python and one by one, which
was half of what a turn cost us. Bytes and texts are written in hexadecimal here: nothing in them
can end the literal, whatever the session's modes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tabur.drivers.database.statements import Row

#: Bytes of one packet, but for a single row or statement that is larger: any server takes a
#: megabyte.
LONGEST = 1_000_000


class Result(NamedTuple):
    changed: int
    """Rows that it changed, or has found."""
    rows: Sequence[Row]


def literal(value: Any) -> str:
    """Of None, a number, bytes or a text. Raises UnicodeError where a text is none."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return f"_utf8mb4 x'{value.encode().hex()}'"
    return str(int(value))


def listed(values: Iterable[Any]) -> str:
    return ", ".join(map(literal, values))


def inserts(table: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    """One statement for as many rows as it holds."""
    head = f"INSERT INTO {table} ({', '.join(f'`{each}`' for each in columns)}) VALUES "
    return [head + ", ".join(chunk) for chunk in _chunks(f"({listed(row)})" for row in rows)]


def run(cursor: Any, statements: Iterable[str]) -> list[Result]:
    """Run them one after the other, in as few round trips as they fit in. One that fails is the
    last that was run."""
    results = []
    for chunk in _chunks(statements):
        cursor.execute("; ".join(chunk))
        results.append(Result(cursor.rowcount, cursor.fetchall()))
        while cursor.nextset():
            results.append(Result(cursor.rowcount, cursor.fetchall()))
    return results


def _chunks(parts: Iterable[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    length = 0
    for part in parts:
        if chunk and length + len(part) > LONGEST:
            yield chunk
            chunk, length = [], 0
        chunk.append(part)
        length += len(part) + 2
    if chunk:
        yield chunk
