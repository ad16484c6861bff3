"""One outbox: what is put into it, what can be seen of it, and how it is emptied."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    delete,
    func,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, DDLElement

from tabur.drivers.contract import Driver
from tabur.drivers.outbox.table import (
    by_head,
    metadata,
    open_engine,
    outbox,
    parse,
    same_database,
    shown,
)
from tabur.errors import (
    ConfigError,
    SchemaMissing,
    StoreUnavailable,
    StoreUnreachable,
    TaburError,
)
from tabur.model.batches import BatchRecord, NewBatch, opened
from tabur.model.clock import SECOND, now_us
from tabur.model.ids import id_text
from tabur.model.records import JobRecord, NewJob
from tabur.model.states import State

_log = logging.getLogger("tabur.outbox")

#: Rows relayed at once.
CHUNK = 500
#: For so long a row that somebody has begun to bring is left to him (microseconds); longer than it
#: takes to find out that none of a store's hosts can be reached.
LEFT_ALONE = 30 * SECOND
#: A row that somebody began to bring longer ago may have been brought, run and forgotten: stores
#: know an id for an hour at least, and clocks of two hosts differ.
DOUBTFUL = 30 * 60 * SECOND


class Outbox:
    """Jobs for one store, named by `target`; two apps with stores of their own may share a
    database. `clock` (microseconds) is for tests."""

    def __init__(self, url: str, target: str, *, clock: Callable[[], int] = now_us) -> None:
        self.url = parse(url)
        self._target = target
        self._clock = clock
        self._opened: Engine
        self._pid: int | None = None

    @property
    def _engine(self) -> Engine:
        if self._pid != os.getpid():
            # Connections that were open before a fork belong to the parent.
            self._opened, self._pid = open_engine(self.url), os.getpid()
        return self._opened

    def put(
        self, connection: Connection, jobs: Sequence[NewJob], batches: Sequence[NewBatch]
    ) -> None:
        """Keep jobs and batches in the transaction that is open on `connection`. Raises ConfigError
        where it is on another database, SchemaMissing."""
        if not same_database(self.url, connection.engine.url):
            theirs = shown(connection.engine.url)
            raise ConfigError(
                f"session= is on {theirs}, and the outbox is in {self}. A transaction cannot span "
                "both: set TABUR_OUTBOX_URL to the database of your sessions, or dispatch with "
                "after_commit=True."
            )
        now = self._clock()
        kept: list[NewJob | NewBatch] = [*batches, *jobs]
        head = kept[0].id if _is_tied(jobs, batches) else None
        rows = [
            {
                "id": each.id,
                "target": self._target,
                "job": _encode(each),
                "created_at": now,
                "head": head,
            }
            for each in kept
        ]
        try:
            connection.execute(insert(outbox), rows)
        except (OperationalError, ProgrammingError) as error:
            self._check_schema(error)
            raise

    def find(self, job_id: bytes) -> JobRecord | None:
        """A job that is committed and has not been brought yet."""
        query = select(outbox.c.job).where(outbox.c.id == job_id, self._ours).limit(1)
        with self._transaction() as connection:
            raw = connection.execute(query).scalar_one_or_none()
        found = None if raw is None else _decode(raw)
        return _record(found, self._clock()) if isinstance(found, NewJob) else None

    def find_batch(self, batch_id: bytes) -> BatchRecord | None:
        """As `find`."""
        query = select(outbox.c.head).where(outbox.c.id == batch_id, self._ours).limit(1)
        with self._transaction() as connection:
            head = connection.execute(query).scalar_one_or_none()
        jobs, batches = _sorted(self._tied(head)) if head is not None else ([], [])
        for each in batches:
            if each.id == batch_id:
                return opened(each, sum(_batch_of(job) == batch_id for job in jobs))
        return None

    def count(self) -> int:
        """How many rows wait to be brought."""
        with self._transaction() as connection:
            query = select(func.count()).select_from(outbox).where(self._ours)
            return int(connection.execute(query).scalar_one())

    def relay(self, driver: Driver) -> int:
        """Bring what is committed to `driver`: mark, dispatch, delete, each in a transaction of its
        own. Answers how many jobs. Raises StoreUnavailable, SchemaMissing."""
        relayed = 0
        while True:
            now = self._clock()
            rows = self._mark(now)
            relayed += self._bring(driver, rows, now)
            if len(rows) < CHUNK:
                return relayed

    def migrate(self) -> Sequence[str]:
        """Make the table, where it is missing, and what came to it later."""
        with self._transaction() as connection:
            if not inspect(connection).has_table(outbox.name):
                metadata.create_all(connection)
            elif _is_old(connection):
                head = CreateColumn(outbox.c.head).compile(dialect=connection.dialect)
                connection.execute(text(f"ALTER TABLE {outbox.name} ADD COLUMN {head}"))
                by_head.create(connection)
            else:
                return []
        return ["job_outbox"]

    def script(self) -> Sequence[str]:
        """What `migrate` would run."""
        dialect = self.url.get_dialect()()
        indexes = sorted(outbox.indexes, key=lambda each: str(each.name))
        statements: list[DDLElement] = [CreateTable(outbox), *map(CreateIndex, indexes)]
        return [str(each.compile(dialect=dialect)).strip() for each in statements]

    def close(self) -> None:
        if self._pid == os.getpid():
            self._opened.dispose()
            self._pid = None

    def __str__(self) -> str:
        return shown(self.url)

    # relaying

    @property
    def _ours(self) -> Any:
        return outbox.c.target == self._target

    def _mark(self, now: int) -> Sequence[Any]:
        """The next rows, as they stood before they were marked as being brought: the first moment
        stays, however often that is tried."""
        marked = outbox.c.sending_at
        query = (
            select(outbox.c.seq, outbox.c.job, outbox.c.head, marked)
            .where(
                self._ours,
                # What is brought at once goes with the first of it.
                or_(outbox.c.head.is_(None), outbox.c.head == outbox.c.id),
                # What lies in the future was marked by a clock that goes wrong: leave it to nobody.
                or_(marked.is_(None), marked < now - LEFT_ALONE, marked > now + LEFT_ALONE),
            )
            .order_by(outbox.c.seq)
            .limit(CHUNK)
            .with_for_update(skip_locked=True)
        )
        with self._transaction() as connection:
            rows = connection.execute(query).all()
            if fresh := [row.seq for row in rows if row.sending_at is None]:
                mark = update(outbox).where(outbox.c.seq.in_(fresh), marked.is_(None))
                connection.execute(mark.values(sending_at=now))
        return rows

    def _bring(self, driver: Driver, rows: Sequence[Any], marked_at: int) -> int:
        try:
            brought = self._dispatch(driver, rows)
        except TaburError as error:
            unknown = isinstance(error, StoreUnavailable) and not isinstance(
                error, StoreUnreachable
            )
            # Later, somebody else may be bringing what we have marked.
            if not unknown and self._clock() - marked_at < LEFT_ALONE:
                self._unmark([row.seq for row in rows if row.sending_at is None])
            raise
        except Exception:
            if len(rows) > 1:  # one bad row holds up no other
                return sum(self._bring(driver, [row], marked_at) for row in rows)
            _log.exception("Row %s of the outbox %s cannot be dispatched", rows[0].seq, self)
            return 0
        self._delete([row.seq for row in rows], [row.head for row in rows if row.head is not None])
        return brought

    def _dispatch(self, driver: Driver, rows: Sequence[Any]) -> int:
        """Answers how many jobs there were."""
        brought = 0
        alone = []
        for row in rows:
            if row.head is None:
                alone.append(row)
                continue
            jobs, batches = _sorted(self._tied(row.head))
            brought += len(jobs)
            if not self._is_there(driver, row):
                driver.dispatching.dispatch(jobs, batches)
        jobs = [_job_of(row) for row in alone if not self._is_there(driver, row)]
        if jobs:
            driver.dispatching.dispatch(jobs)
        return brought + len(alone)

    def _is_there(self, driver: Driver, row: Any) -> bool:
        """Whether it was brought, of what somebody began to bring long ago."""
        if row.sending_at is None or row.sending_at >= self._clock() - DOUBTFUL:
            return False
        first = _decode(row.job)
        find = driver.inspection.find if isinstance(first, NewJob) else driver.batches.find
        if find(first.id) is not None:
            return True
        _log.warning(
            "%s %s stood in the outbox %s, begun to be brought more than half an hour ago, and %s "
            "does not know it: it is dispatched now. Should it have been there and been forgotten "
            "since, it runs a second time.",
            *(first.name, id_text(first.id), self, driver.name),
        )
        return False

    def _tied(self, head: bytes) -> Sequence[bytes]:
        """All that is brought at once, as it was put."""
        query = select(outbox.c.job).where(self._ours, outbox.c.head == head)
        with self._transaction() as connection:
            return connection.execute(query.order_by(outbox.c.seq)).scalars().all()

    def _unmark(self, fresh: Sequence[int]) -> None:
        """Of these, nothing was sent."""
        with self._transaction() as connection:
            unmark = update(outbox).where(outbox.c.seq.in_(fresh))
            connection.execute(unmark.values(sending_at=None))

    def _delete(self, brought: Sequence[int], heads: Sequence[bytes]) -> None:
        if not brought:
            return
        with self._transaction() as connection:
            connection.execute(delete(outbox).where(outbox.c.seq.in_(brought)))
            for head in heads:
                connection.execute(delete(outbox).where(self._ours, outbox.c.head == head))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            self._check_schema(error)
            raise StoreUnavailable(f"The outbox {self} does not answer: {error.orig}") from error

    def _check_schema(self, error: DBAPIError) -> None:
        """Raises SchemaMissing where an error came because there is no table."""
        try:
            there = inspect(self._engine).has_table(outbox.name)
            missing = not there or _is_old(self._engine)
        except DBAPIError:
            return
        if missing:
            raise SchemaMissing(str(self), "job_outbox") from error


def _record(job: NewJob, now: int) -> JobRecord:
    """A job as its store will tell of it."""
    return JobRecord(
        id=job.id,
        name=job.name,
        queue=job.queue,
        state=_state(job, now),
        priority=job.priority,
        created_at=job.created_at,
        attempts=job.attempts,
        crashes=job.crashes,
        options=job.options,
        tenant=job.tenant,
        user=job.user,
        locale=job.locale,
        due_at=job.due_at,
        payload=job.payload,
    )


def _state(job: NewJob, now: int) -> State:
    if job.blockers:
        return State.BLOCKED
    return State.SCHEDULED if job.due_at is not None and job.due_at > now else State.PENDING


def _is_old(place: Connection | Engine) -> bool:
    """Whether the table is one of a version before."""
    return outbox.c.head.name not in (
        column["name"] for column in inspect(place).get_columns(outbox.name)
    )


def _is_tied(jobs: Sequence[NewJob], batches: Sequence[NewBatch]) -> bool:
    """Whether they are to come to the store at once: none may end before those are there that wait
    for it, no batch before all its jobs are."""
    return bool(batches) or any(bonds.next for job in jobs if (bonds := job.bonds) is not None)


def _batch_of(job: NewJob) -> bytes | None:
    return job.bonds.batch if job.bonds is not None else None


def _encode(kept: NewJob | NewBatch) -> bytes:
    """A job as a map, a batch as a list of one."""
    return msgspec.msgpack.encode(kept if isinstance(kept, NewJob) else [kept])


def _decode(raw: bytes) -> NewJob | NewBatch:
    kept = msgspec.msgpack.decode(raw, type=NewJob | tuple[NewBatch])
    return kept if isinstance(kept, NewJob) else kept[0]


def _job_of(row: Any) -> NewJob:
    return msgspec.msgpack.decode(row.job, type=NewJob)


def _sorted(rows: Iterable[bytes]) -> tuple[list[NewJob], list[NewBatch]]:
    kept = [_decode(each) for each in rows]
    jobs = [each for each in kept if isinstance(each, NewJob)]
    return jobs, [each for each in kept if isinstance(each, NewBatch)]
