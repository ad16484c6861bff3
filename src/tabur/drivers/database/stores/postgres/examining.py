"""What may be wrong with a PostgreSQL server and the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tabur.model.findings import Finding, Level

#: How often it is tried to be given another client's connection: somebody else may take it first.
TRIES = 20


def pooled(connect: Callable[[], Any]) -> str | None:
    """Whether a pooler stands between, and how it shares: `transaction`, `session` or None.

    A pooler makes up the number of the backend that it tells a client when it connects. By
    transactions it lends the backend to another client while ours is still connected.
    """
    first = connect()
    try:
        if first.info.backend_pid == _backend(first):
            return None
        for _ in range(TRIES):
            own = _backend(first)
            second = connect()
            try:
                shared = _backend(second) == own
            finally:
                second.close()
            if shared:
                return "transaction"
        return "session"
    finally:
        first.close()


def about_pooler(store: str, connect: Callable[[], Any], *, told: bool) -> Iterator[Finding]:
    """`told`: the URL says `pooler=transaction`."""
    kind = pooled(connect)
    if kind == "transaction" and not told:
        yield Finding(
            "pgbouncer",
            Level.ERROR,
            f"Between here and {store} stands PgBouncer (or its like) in transaction mode, which "
            "lends each transaction another session: prepared statements fail, settings leak, and "
            "notifications do not come.",
            "Write ?pooler=transaction at the end of DATABASE_URL, or let workers go to the server "
            "directly (docs/postgresql.md).",
        )
    elif kind != "transaction" and told:
        way = "in session mode" if kind else "not there"
        yield Finding(
            "pgbouncer-not-there",
            Level.NOTE,
            f"DATABASE_URL of {store} says pooler=transaction, and such a pooler is {way}: workers "
            "look for jobs by themselves instead of being told.",
            "Remove ?pooler=transaction from DATABASE_URL.",
        )


def about_settings(store: str, setting: Callable[[str], str]) -> Iterator[Finding]:
    """`setting`: the value of one."""
    for name, loses in (
        ("fsync", "jobs, and the whole database, may be lost with the machine"),
        ("synchronous_commit", "the last half second of what was dispatched may be lost"),
    ):
        if setting(name) == "off":
            yield Finding(
                "postgres-durability",
                Level.WARNING,
                f"{name} is off on {store}: {loses}.",
                f"Set {name} = on, for the server and for this role.",
            )
    if setting("autovacuum") == "off":
        yield Finding(
            "postgres-autovacuum",
            Level.WARNING,
            f"autovacuum is off on {store}: dead rows pile up, and claims become slow.",
            "Set autovacuum = on (docs/postgresql.md).",
        )


def _backend(connection: Any) -> int:
    """In a transaction of its own."""
    return int(connection.execute("SELECT pg_backend_pid()", prepare=False).fetchone()[0])
