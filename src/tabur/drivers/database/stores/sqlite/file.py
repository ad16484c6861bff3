"""The connections to one SQLite file: one writer a process, as many readers as threads ask for."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from tabur.errors import (
    ConfigError,
    DispatchWouldBlock,
    SchemaMissing,
    StoreError,
    StoreUnavailable,
)

#: Seconds a write waits for another process's before it gives up.
LOCK_TIMEOUT = 30.0
#: Seconds that a thread with a transaction of its own open waits for the others of its process:
#: who holds them up for longer waits for that transaction.
OWN_PATIENCE = 1.0


class SqliteFile:
    """One database file. Writes go through one connection under one lock; between processes a
    short jittered pause, since SQLite's own back-off lets one process take every turn."""

    DataErrors: tuple[type[Exception], ...] = (
        sqlite3.DataError,
        sqlite3.IntegrityError,
        sqlite3.InterfaceError,
        sqlite3.ProgrammingError,
        OverflowError,
        UnicodeError,
    )

    def __init__(self, url: URL) -> None:
        if url.database in (None, "", ":memory:"):
            raise ConfigError(
                "DATABASE_URL names no file. Write sqlite:///var/tabur.sqlite3, "
                "or use QUEUE_CONNECTION=memory."
            )
        self.path = Path(str(url.database)).absolute()
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._writer: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._open: list[sqlite3.Connection] = []

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"

    @property
    def url(self) -> URL:
        return URL.create("sqlite", database=str(self.path))

    def connect(self, *, create: bool = False) -> sqlite3.Connection:
        """A new connection with what every one needs. Raises SchemaMissing where there is no file
        and none may be made."""
        if not self.path.exists():
            if not create:
                raise SchemaMissing(str(self), "there is no such file")
            self._make_folder()
        try:
            connection = sqlite3.connect(
                self.path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._translated(error) from None
        # A text edited by hand into bytes that are no UTF-8 fails its own job, not every turn.
        connection.text_factory = _text
        try:
            self._set_up(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._translated(error) from None
        self._open.append(connection)
        return connection

    @contextmanager
    def write(self, *, create: bool = False) -> Iterator[sqlite3.Cursor]:
        """One write transaction, begun at once: it never finds its snapshot outdated. Raises
        DispatchWouldBlock where this thread's own open transaction stands in the way."""
        me = threading.get_ident()
        if self._writing_thread == me:
            raise AssertionError("a write transaction inside another")
        with self._turn():
            self._writing_thread = me
            try:
                if self._writer is None:
                    self._writer = self.connect(create=create)
                    self._writer.execute("PRAGMA busy_timeout = 0")
                cursor = self._writer.cursor()
                self._begin(cursor)
                try:
                    yield cursor
                    cursor.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        cursor.execute("ROLLBACK")
                    raise
            except self.DataErrors:
                raise
            except sqlite3.Error as error:
                raise self._translated(error) from error
            finally:
                self._writing_thread = None

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for reading; each statement sees all that was committed before it."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self.connect()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._translated(error) from error
        finally:
            self._readers.append(connection)

    def close(self) -> None:
        with self._write_lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
            self._readers.clear()
            self._writer = None

    def forget(self, connection: sqlite3.Connection) -> None:
        """Close one that was taken with `connect`."""
        connection.close()
        if connection in self._open:
            self._open.remove(connection)

    # callers' own transactions

    def is_same(self, connection: Connection) -> bool:
        database = connection.engine.url.database
        if connection.dialect.name != "sqlite" or not database:
            return False
        return Path(database).absolute().resolve() == self.path.resolve()

    def install(self, engine: Engine) -> None:
        """WAL, FULL and patience on each of the engine's connections; and its open transactions
        are remembered, so that a plain dispatch inside one raises instead of waiting for itself."""
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _began)

    def begin_in(self, connection: Connection) -> None:
        """Be the one writer from here on. A transaction that begins with a read and finds at its
        first write that another has written since is refused, and no patience helps it. Python's
        client begins none before a first write (or, told so, at once, or never): all the same, it
        is open from here on, and ends with the caller's commit."""
        raw = connection.connection.driver_connection
        begun = getattr(raw, "in_transaction", False)
        try:
            connection.exec_driver_sql(_TAKE_THE_LOCK if begun else "BEGIN IMMEDIATE")
        except OperationalError as error:
            if not isinstance(error.orig, sqlite3.OperationalError):
                raise
            raise self._not_to_write(error.orig) from error
        _began(connection)

    def _not_to_write(self, error: sqlite3.OperationalError) -> StoreError:
        """Why a caller's transaction may not write."""
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY_SNAPSHOT:
            return StoreUnavailable(
                f"{self}: this transaction began with a read, and another has written since, so "
                "that SQLite lets it write no more. Let it begin with a write, or with "
                "ctx.checkpoint()."
            )
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return StoreUnavailable(
                f"{self}: another transaction has held the file's one write lock for longer than "
                "this session's connection waits (30 s after jobs.install(engine), else 5 s). Keep "
                "transactions short."
            )
        return self._translated(error)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        """The pragmas. A new file is switched to WAL by whoever opens it first, and SQLite does not
        let a second one wait for that: it answers at once that the file is locked."""
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                for pragma in _PRAGMAS:
                    connection.execute(pragma)
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    connection.close()
                    raise
            time.sleep(0.01 * random.random())

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """This process's turn to write."""
        if not self._write_lock.acquire(timeout=OWN_PATIENCE):
            if _own_transaction_open(self.path):
                raise _would_block()
            self._write_lock.acquire()
        try:
            yield
        finally:
            self._write_lock.release()

    def _begin(self, cursor: sqlite3.Cursor) -> None:
        deadline = 0.0
        pause = 0.0001
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if _own_transaction_open(self.path):
                    raise _would_block() from None
                now = time.monotonic()
                deadline = deadline or now + LOCK_TIMEOUT
                if now > deadline:
                    raise
            time.sleep(pause * (0.5 + random.random()))
            pause = min(pause * 1.5, 0.01)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"{self.path.parent} cannot be made: {error}") from None

    def _translated(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        if "no such table" in text or "no such column" in text:
            return SchemaMissing(str(self), text)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        advice = _ADVICE.get(code, "")
        return StoreUnavailable(f"{self}: {text}. {advice}".rstrip())


def _would_block() -> DispatchWouldBlock:
    return DispatchWouldBlock(
        "This would wait for your own open transaction on the same SQLite file. Write "
        "options(session=session).dispatch(…), so that the job commits with it, or dispatch after "
        "the commit."
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 67108864",
)
_ADVICE = {
    sqlite3.SQLITE_BUSY: f"Another process has held the write lock for {LOCK_TIMEOUT:.0f} s: "
    "look for a transaction left open.",
    sqlite3.SQLITE_FULL: "The disk is full: make room; nothing was lost.",
    sqlite3.SQLITE_READONLY: "The file or its folder cannot be written by this user.",
    sqlite3.SQLITE_CANTOPEN: "Check the path and the rights on its folder.",
    sqlite3.SQLITE_NOTADB: "It is not a SQLite database: check DATABASE_URL.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: restore it from a backup.",
}

#: A write that changes nothing takes the lock as BEGIN IMMEDIATE does.
_TAKE_THE_LOCK = "UPDATE job_ready SET cancelling = cancelling WHERE 0"

#: Connections of callers' engines on which this thread or coroutine has begun a transaction.
_begun: ContextVar[tuple[weakref.ref[Connection], ...]] = ContextVar("tabur_begun", default=())


def _prepare(dbapi_connection: Any, record: Any) -> None:
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute(f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT * 1000)}")
    cursor.close()


def _began(connection: Connection) -> None:
    alive = tuple(each for each in _begun.get() if _writing(each()) is not None)
    _begun.set((*alive, weakref.ref(connection)))


def _writing(connection: Connection | None) -> Path | None:
    """The file on which a connection has a transaction open that has written."""
    if connection is None or connection.closed or not connection.in_transaction():
        return None
    raw = connection.connection.driver_connection
    database = connection.engine.url.database
    return Path(database).absolute() if database and getattr(raw, "in_transaction", False) else None


def _own_transaction_open(path: Path) -> bool:
    return any(_writing(each()) == path for each in _begun.get())
