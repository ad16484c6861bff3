"""A store as a whole, and what only some can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tabur.drivers.contract.jobs import Batches, Claiming, Dispatching, Transfer
from tabur.drivers.contract.reading import Inspection, Retention
from tabur.drivers.contract.schedules import Notes, Schedules
from tabur.drivers.contract.workers import Control, Listener, Workers
from tabur.model.batches import NewBatch
from tabur.model.findings import Finding
from tabur.model.outcome import Transition
from tabur.model.records import NewJob

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


class Driver(Protocol):
    """A store. `name` is the connection's word for it: database, redis, memory, sync."""

    name: str
    dispatching: Dispatching
    claiming: Claiming
    batches: Batches
    transfer: Transfer
    workers: Workers
    control: Control
    inspection: Inspection
    retention: Retention
    schedules: Schedules
    notes: Notes

    def now(self) -> int:
        """The store's clock. It is asked every few seconds, and carried on in between by a clock
        that nobody sets. Raises StoreUnavailable."""

    def listen(self) -> Listener: ...

    def migrate(self) -> Sequence[str]:
        """Bring the schema up to date; answers what was done, in words. Safe to repeat, and while
        workers run."""

    def script(self) -> Sequence[str]:
        """The statements that `migrate` would run on an empty store, as text."""

    def check(self) -> Mapping[str, Any]:
        """Version and health of the store for `tabur about`. Raises SchemaMissing or
        StoreUnavailable with what to do."""

    def close(self) -> None: ...


@runtime_checkable
class Transactional(Protocol):
    """A driver whose store may be the caller's own database."""

    def dispatch_in(
        self,
        connection: Connection,
        jobs: Sequence[NewJob],
        batches: Sequence[NewBatch] = (),
    ) -> Mapping[bytes, bytes]:
        """As `Dispatching.dispatch`, in the transaction that is open on `connection`: the jobs
        commit or vanish with it, and a SAVEPOINT rolled back takes them along. Only inserts, but
        for unique keys; wakes workers once it has committed. Raises ConfigError where it is another
        database, and for jobs of a batch that is not among `batches`: who holds its row keeps all
        its jobs from ending."""

    def install(self, engine: Engine) -> None:
        """Prepare a caller's engine on this database for living beside the queue."""


@runtime_checkable
class Fencing(Protocol):
    """A driver whose jobs may settle in a transaction of their own data, fenced by their token:
    what they wrote and their end commit together or, where the claim has moved on, not at all.
    The first three raise ConfigError where `connection` leads to another database."""

    def begin_in(self, connection: Connection) -> None:
        """Begin to write in the transaction that has just begun on `connection`: where an engine
        has one writer, it is this one from here on. Locks nothing of the queue elsewhere. Raises
        ConfigError where the connection commits each statement by itself."""

    def settle_in(self, connection: Connection, move: Transition) -> bool:
        """As a settle of `Claiming.exchange`, of a job that has completed, in the transaction that
        is open on `connection`. Wakes workers once it has committed, where follow-ups made
        something claimable. False where the claim has moved on; then nothing was changed, and the
        caller must roll back."""

    def checkpoint_in(
        self, connection: Connection, job_id: bytes, token: bytes, cursor: bytes
    ) -> bool:
        """Keep `cursor` with a running job in the transaction that is open on `connection`. False
        as in `settle_in`; until the transaction ends, nobody can take the claim away."""

    def is_settled(self, job_id: bytes, token: bytes) -> bool:
        """Whether a `settle_in` under this token has committed: for a commit that brought no
        answer. Waits for one whose transaction is still open."""

    def make_engine(self) -> Engine:
        """A new engine on this database for jobs' transactions, prepared as by `install`. Raises
        ConfigError where no client for it is installed."""

    def make_async_engine(self) -> AsyncEngine:
        """As `make_engine`. Its connections are of use on any event loop, and keep none open."""


@runtime_checkable
class Relaying(Protocol):
    """A driver with an outbox: a table in the caller's own database, where jobs wait for the commit
    of the transaction that dispatched them, and then for a relay that brings them to the store.

    What was committed is brought, by whoever comes first, and again until it is certain that it
    was. Dispatching is idempotent by id: two who relay at once, or one who died before he had
    removed his rows, bring no job twice as long as the store knows its id.
    """

    def relay(self) -> int:
        """Bring what is committed to the store. Answers how many jobs; raises StoreUnavailable of
        either side, and what was not brought stays."""

    def keep_relaying(self, every: float) -> None:
        """Relay in the background, every so many seconds, until the driver is closed."""


@runtime_checkable
class SelfExamining(Protocol):
    """A driver that knows what may be wrong with its store beyond not answering."""

    def examine(self) -> Sequence[Finding]:
        """What is wrong with its tables, settings and the way to it, worst first; nothing secret in
        it. It tells of what it can while other verbs refuse to work with such a store. Raises
        StoreUnavailable, ConfigError."""
