"""What engines on a server have in common: a pool, errors told apart, deadlocks done again."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import Enum, auto
from time import monotonic, sleep
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, TimeoutError

from tabur.drivers.clock import StoreClock
from tabur.drivers.database.engines import make_engine
from tabur.drivers.database.store import Store, Transaction
from tabur.errors import ConfigError, SchemaMissing, StoreError, StoreUnavailable, StoreUnreachable

T = TypeVar("T")

#: Connections that one process opens at most, each only when the others are busy, and seconds that
#: a caller waits for one. A worker's child needs one, and more only while its jobs dispatch.
POOL, POOL_PATIENCE = 10, 30.0
#: Seconds that a connection may take to be made.
CONNECT_PATIENCE = 5
#: How often, once a second, TCP asks a silent server whether it is there, before it gives it up.
KEEPALIVES = 3
#: Seconds for which a transaction that lost a deadlock, or waited in vain for a lock, is repeated.
DEADLOCK_PATIENCE = 30.0


class Fate(Enum):
    """What an error of the client means."""

    DATA = auto()
    """A value cannot be stored, or an id is known: the caller's affair."""
    AGAIN = auto()
    """It lost a deadlock: nothing was done."""
    GONE = auto()
    """The connection is dead, or its server is no primary any more."""
    NO_TABLES = auto()
    OTHER = auto()


class NetworkStore(Store):
    """`url` names a driver that is installed. All connections commit each statement by itself,
    but for those inside `transact`."""

    ClientError: type[Exception]
    families: tuple[str, ...]
    """What SQLAlchemy calls the dialects that speak to such a server."""

    def __init__(
        self, url: URL, clock: Callable[[], int] | None, *, connect: Mapping[str, Any]
    ) -> None:
        self._url, self._connect = url, dict(connect)
        self._engine = create_engine(
            url,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=POOL_PATIENCE,
            pool_use_lifo=True,
            pool_reset_on_return=None,  # we end what we begin; a ROLLBACK would be a round trip
            connect_args=self._connect,
        )
        event.listen(self._engine, "connect", lambda raw, _: self._prepare(raw))
        self._clock = clock or StoreClock(self._ask_clock)
        self._same: WeakKeyDictionary[Engine, bool] = WeakKeyDictionary()

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    # what each engine says in its own way

    @abstractmethod
    def _prepare(self, raw: Any) -> None:
        """Set up a new connection."""

    @abstractmethod
    def _fate(self, error: Exception) -> Fate: ...

    @abstractmethod
    def _ask_clock(self) -> int: ...

    @abstractmethod
    def _lock_migrations(self, cursor: Any) -> None:
        """Wait until no other migration runs, and keep others waiting until this one ends."""

    @abstractmethod
    def _identity_of(self, connection: Connection) -> int | None:
        """The identity in the database of a caller's connection; None where it has no tables of
        ours. Leaves the caller's transaction in order."""

    @abstractmethod
    def _wake(self, cursor: Any) -> None:
        """Tell listeners, in the transaction of the cursor."""

    # the store

    def transact(self, work: Callable[[Transaction], T], *, repeat: bool = True) -> T:
        return self.alone(lambda cursor: self._in_transaction(cursor, work), repeat=repeat)

    def alone(self, work: Callable[[Any], T], *, repeat: bool = True) -> T:
        deadlocks, until = 0, monotonic() + DEADLOCK_PATIENCE
        lost: Exception | None = None
        while True:
            try:
                with self._cursor() as cursor:
                    return work(cursor)
            except StoreUnreachable:
                if lost is None:
                    raise
                raise self._unavailable(lost) from lost  # it was sent, on the connection before
            except _Again as again:
                if again.fate is Fate.AGAIN and monotonic() < until:
                    deadlocks += 1
                    sleep(random.uniform(0, 0.001 * 2 ** min(deadlocks, 6)))
                elif again.fate is Fate.GONE and repeat and lost is None:
                    lost = again.error  # an old connection may have died long ago; a fresh one not
                else:
                    raise self._unavailable(again.error) from again.error

    @contextmanager
    def read(self) -> Iterator[Any]:
        try:
            with self._cursor() as cursor:
                yield cursor
        except _Again as again:
            raise self._unavailable(again.error) from again.error

    def now(self) -> int:
        return self._clock()

    def is_same(self, connection: Connection) -> bool:
        engine = connection.engine
        known = self._same.get(engine)
        if known is None:
            if connection.dialect.name not in self.families:
                return False
            with self.read() as cursor:
                cursor.execute("SELECT value FROM job_signals WHERE name = 'identity'")
                mine = cursor.fetchone()
            known = mine is not None and self._identity_of(connection) == mine[0]
            self._same[engine] = known
        return known

    def begin_in(self, connection: Connection) -> None:
        """Nothing: what it writes is locked as it is written."""
        if _commits_each(connection):
            raise ConfigError(
                "The session's connection commits each statement by itself (isolation_level="
                "'AUTOCOMMIT'), so that nothing could be rolled back: give sessions of another "
                "engine."
            )

    def make_engine(self) -> Engine:
        return make_engine(self._url, self._connect_callers())

    def _connect_callers(self) -> Mapping[str, Any]:
        """How callers' connections are opened: as ours, but with transactions, one statement at a
        time, and no hurry."""
        ours = ("autocommit", "client_flag", "read_timeout", "write_timeout")
        return {name: value for name, value in self._connect.items() if name not in ours}

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def migrating(self) -> Iterator[Any]:
        with self.read() as cursor, self._begun(cursor):
            self._lock_migrations(cursor)
            yield cursor

    def connect_alone(self) -> Any:
        """A connection of the client's own kind, that nobody shares and the pool does not count."""
        given, named = self._engine.dialect.create_connect_args(self._url)
        try:
            return self._engine.dialect.loaded_dbapi.connect(*given, **named, **self._connect)
        except self.ClientError as error:
            raise StoreUnreachable(f"{self}: {_first_line(error)}") from None

    # below

    def _in_transaction(self, cursor: Any, work: Callable[[Transaction], T]) -> T:
        with self._begun(cursor):
            tx = Transaction(cursor)
            done = work(tx)
            if tx.woken:
                self._wake(cursor)
        return done

    @contextmanager
    def _begun(self, cursor: Any) -> Iterator[None]:
        cursor.execute("BEGIN")
        try:
            yield
            cursor.execute("COMMIT")
        except BaseException as error:
            if not isinstance(error, self.ClientError) or self._fate(error) is not Fate.GONE:
                cursor.execute("ROLLBACK")
            raise

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """A cursor on a pooled connection. Errors of the client become ours, or `_Again`."""
        raw = self._raw()
        try:
            cursor = self._open_cursor(raw.driver_connection)
            try:
                yield cursor
            finally:
                cursor.close()
        except self.ClientError as error:
            match self._fate(error):
                case Fate.DATA:
                    raise
                case Fate.NO_TABLES:
                    raise SchemaMissing(str(self), _first_line(error)) from error
                case Fate.GONE:
                    raw.invalidate(error)
                    self._engine.dispose()  # its neighbours in the pool are dead as well
                    raise _Again(Fate.GONE, error) from error
                case fate:
                    raise _Again(fate, error) from error
        finally:
            raw.close()

    def _raw(self) -> Any:
        try:
            return self._engine.raw_connection()
        except TimeoutError:
            raise StoreUnavailable(
                f"{self}: all {POOL} connections of this process were busy for "
                f"{POOL_PATIENCE:.0f} s. Is a transaction left open?"
            ) from None
        except (DBAPIError, self.ClientError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StoreUnreachable(f"{self}: {_first_line(cause)}") from None

    def _open_cursor(self, connection: Any) -> Any:
        return connection.cursor()

    def _unavailable(self, error: Exception) -> StoreError:
        return StoreUnavailable(f"{self}: {_first_line(error)}")

    def _scalar(self, query: str) -> Any:
        with self.read() as cursor:
            cursor.execute(query)
            row = cursor.fetchone()
            return None if row is None else row[0]


class _Again(Exception):
    """An error of the client after which the same work may be tried on another connection."""

    def __init__(self, fate: Fate, error: Exception) -> None:
        super().__init__(fate)
        self.fate = fate
        self.error = error


def missing_client(url: URL, extra: str) -> ConfigError:
    return ConfigError(
        f"DATABASE_URL names {url.drivername}, whose client is not installed: pip install "
        f'"tabur[{extra}]"'
    )


def asked_after(silence: float) -> int:
    """Whole seconds of silence after which the server is first asked whether it is there, so that
    it is given up after `silence`."""
    return max(1, int(silence) - KEEPALIVES)


def run_on(connection: Connection, query: str) -> Any:
    """The first value that a caller's connection answers, by whatever client it uses."""
    return connection.execute(text(query)).scalar()


def _commits_each(connection: Connection) -> bool:
    dialect, raw = connection.dialect, connection.connection.dbapi_connection
    # Not before SQLAlchemy 2.0.43, and not every client: they are asked what they were told, for
    # the engine or for this connection.
    if raw is not None and hasattr(dialect, "detect_autocommit_setting"):
        with suppress(NotImplementedError):
            return dialect.detect_autocommit_setting(raw)
    told = getattr(dialect, "_on_connect_isolation_level", None)
    return connection.get_execution_options().get("isolation_level", told) == "AUTOCOMMIT"


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
