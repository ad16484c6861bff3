"""What the roles need of an engine: transactions, its clock, and the few statements that no
portable clause expresses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ClauseElement, Connection, Dialect, Engine, insert

from tabur.drivers.contract import Exchange, Listener
from tabur.drivers.database.statements import Inserting, InsertingNew, Keyed, Prepared
from tabur.model.bonds import Unique
from tabur.model.findings import Finding
from tabur.model.outcome import Transition
from tabur.model.records import ClaimedJob, NewJob

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


class Transaction:
    """One write transaction. `woken`: it has made something claimable, so that listeners are told
    when it commits."""

    __slots__ = ("cursor", "woken")

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.woken = False


class Words:
    """How an engine says what the standard does not: pieces of SQL, used in views and selects."""

    def __init__(
        self,
        *,
        hex_id: str,
        text_of: str,
        seconds: str,
        moment: str,
        unclaimed: str = "token",
    ) -> None:
        self.hex_id = hex_id
        """32 hexadecimal digits of the column `{}`."""
        self.text_of = text_of
        """The binary column `{}` as text."""
        self.seconds = seconds
        """The microseconds in the column `{}` as whole seconds."""
        self.moment = moment
        """The microseconds in the column `{}` as a date that people can read."""
        self.unclaimed = unclaimed
        """The column by which the index of claims tells that a row is not claimed: it is null."""


class Look:
    """What an idle worker sees without a lock."""

    __slots__ = ("claimable", "next_due")

    def __init__(self, *, claimable: bool, next_due: int | None) -> None:
        self.claimable = claimable
        self.next_due = next_due


class AtOnce:
    """What one statement has done. `settled`: all claims held; where not, those that did hold are
    settled and the others untouched."""

    __slots__ = ("claimed", "next_due", "settled")

    def __init__(self, *, settled: bool, claimed: list[ClaimedJob], next_due: int | None) -> None:
        self.settled = settled
        self.claimed = claimed
        self.next_due = next_due


class Store(ABC):
    """One database. Raises StoreUnavailable, StoreUnreachable and SchemaMissing in place of the
    client's errors."""

    dialect: Dialect
    """Compiles with positional parameters."""
    words: Words
    DataErrors: tuple[type[Exception], ...]
    """What a value that cannot be stored raises."""
    KnownId: type[Exception]
    """What a second row of the same id raises."""
    hot: Hot
    worked = 0.0
    """When (monotonic) this process last claimed something."""
    index_if_not_exists = True
    """Whether CREATE INDEX knows IF NOT EXISTS."""

    @abstractmethod
    def __str__(self) -> str:
        """Its URL, without a password."""

    @abstractmethod
    def transact(self, work: Callable[[Transaction], T], *, repeat: bool = True) -> T:
        """Do `work` in one write transaction. It is done again where it lost a deadlock, and, with
        `repeat`, on a fresh connection where an old one turned out to be dead."""

    def insert(self, jobs: Sequence[NewJob], now: int) -> None:
        """Bring new jobs in, in a transaction of its own; as `Hot.insert`."""

        def insert(tx: Transaction) -> None:
            tx.woken = self.bring_in(tx.cursor, jobs, now)

        self.transact(insert)

    def insert_unique(self, job: NewJob, unique: Unique, now: int) -> bool:
        """Bring in one job and take its unique key, both or neither, where an engine does that in
        one round trip. False: it was not done, for the key is held or the engine cannot."""
        return False

    def bring_in(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        """As `Hot.insert`, of any number of jobs, in a transaction that goes on."""
        return self.hot.insert(cursor, jobs, now)

    def alone(self, work: Callable[[Any], T], *, repeat: bool = True) -> T:
        """As `transact`, for one statement, which is a transaction of itself."""
        return self.transact(lambda tx: work(tx.cursor), repeat=repeat)

    @abstractmethod
    def read(self) -> AbstractContextManager[Any]:
        """A cursor on which each statement sees all that was committed before it."""

    def read_anew(self) -> AbstractContextManager[Any]:
        """As `read`, for what people ask: no plan of a statement is kept from before."""
        return self.read()

    @abstractmethod
    def now(self) -> int:
        """The store's clock."""

    @abstractmethod
    def keyed(self, statement: Any, column: Any, *names: str) -> Keyed:
        """`statement` for all rows whose `column` is among the keys."""

    def inserting(self, table: Any) -> Inserting:
        """An insert of whole rows of a table, as fast as the engine takes them."""
        return self.prepare(insert(table), *(each.name for each in table.columns))

    def inserting_new(self, table: Any) -> InsertingNew:
        """As `inserting`, passing over rows whose key is known."""
        return self.prepare(
            self.ignoring_known(insert(table)), *(each.name for each in table.columns)
        )

    @abstractmethod
    def listen(self) -> Listener: ...

    @abstractmethod
    def is_same(self, connection: Connection) -> bool:
        """Whether a caller's connection leads to this database."""

    @abstractmethod
    def ignoring_known(self, insert: Any) -> Any:
        """A Core insert that changes nothing, and fails nothing, where the id is known."""

    @abstractmethod
    def replacing(self, insert: Any) -> Any:
        """A Core insert that takes the place of the row of the same id. (Not a delete before it:
        under MySQL's REPEATABLE READ two callers would lock the same gap, and each other out.)"""

    @abstractmethod
    def wake_on_commit(self, connection: Connection) -> None:
        """Tell listeners when the caller's transaction has committed."""

    def install(self, engine: Engine) -> None:  # noqa: B027  # most engines need nothing
        """Prepare a caller's engine for living beside the queue."""

    @abstractmethod
    def begin_in(self, connection: Connection) -> None:
        """Begin to write in a caller's transaction, which is open and may have read. Raises
        ConfigError where the connection commits each statement by itself."""

    @abstractmethod
    def make_engine(self) -> Engine:
        """A new engine on this database, for callers: a small pool, `install` done."""

    @abstractmethod
    def make_async_engine(self) -> AsyncEngine:
        """As `make_engine`; its connections are not kept, for each belongs to an event loop."""

    @abstractmethod
    def describe(self) -> Mapping[str, Any]:
        """For `tabur about`."""

    @abstractmethod
    def examine(self) -> Sequence[Finding]:
        """What is wrong with the database's settings, and the way to it, worst first."""

    @abstractmethod
    def close(self) -> None: ...

    def has_no_tables(self, error: Exception) -> bool:
        """Whether a caller's client says that our tables are not there."""
        said = str(error)
        return "job_records" in said and any(each in said for each in _NO_TABLES)

    def prepare(self, statement: ClauseElement | str, *names: str) -> Prepared:
        return Prepared(statement, self.dialect, *names)

    @abstractmethod
    def migrating(self) -> AbstractContextManager[Any]:
        """A cursor in a transaction that lets no second migration run beside it."""

    def after_tables(self) -> Sequence[str]:
        """What this engine wants otherwise than the tables say, right after they are made."""
        return []

    def views(self, queries: Mapping[str, str]) -> Sequence[str]:
        """The statements that make the views, leaving alone what bears such a name already."""
        return [f"CREATE VIEW IF NOT EXISTS {name} AS {query}" for name, query in queries.items()]


class Hot(ABC):
    """The statements on the path of every job, in the engine's own words."""

    @abstractmethod
    def insert(self, cursor: Any, jobs: Sequence[NewJob], now: int) -> bool:
        """Insert new jobs in their order; answers whether any may be claimed at once. An id that is
        known raises KnownId, or an error that is one of DataErrors."""

    @abstractmethod
    def complete(self, cursor: Any, moves: Sequence[Transition]) -> bool:
        """Settle plain completions: delete each claim that still holds and append its outcome.
        False where one does not hold; then the transaction is to be rolled back."""

    knows_at_once = False

    def at_once(
        self, cursor: Any, turn: Exchange, now: int, counts: Mapping[bytes, int]
    ) -> AtOnce | None:
        """A whole turn that settles nothing but plain completions, in one statement, for engines
        that have such a one. Where a job is due it claims nothing: that one is to be promoted
        before, for it may come first.

        `counts`: by batch, how many of its jobs have completed; counted last. Where one of them
        does not go on after that, or a claim does not hold, nothing is done: None."""
        raise NotImplementedError

    @abstractmethod
    def look(self, cursor: Any, turn: Exchange) -> Look:
        """Whether a turn would claim something, for an engine without `at_once`."""

    @abstractmethod
    def claim(self, cursor: Any, turn: Exchange, now: int) -> list[ClaimedJob]:
        """In the order in which they are to start."""

    def put_back(self) -> None:  # noqa: B027  # only some keep a hint
        """Something became claimable at a place before the last claim."""


def all_but_id(columns: Any) -> dict[str, Any]:
    """What a replaced row takes from the new one."""
    return {name: column for name, column in columns.items() if name != "id"}


_NO_TABLES = ("no such table", "does not exist", "doesn't exist")
