"""Products, starting an import, and carrying it to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from backoffice.integrations.tables import (
    Table,
    TableInfo,
    UnreadableTable,
    count_rows,
    inspect,
    open_table,
)
from backoffice.integrations.uploads import StoredFile, UploadTooLarge, store
from backoffice.kernel.database import now
from backoffice.kernel.events import Events
from backoffice.kernel.settings import MIB, Settings
from backoffice.modules.accounts.api import Member
from backoffice.modules.products import repository
from backoffice.modules.products.errors import ImportMoved, ImportRefused
from backoffice.modules.products.events import ImportEnded
from backoffice.modules.products.models import ImportRejection, ProductImport
from backoffice.modules.products.repository import Chunk, ProductPage
from backoffice.modules.products.rules import BadHeader, ImportState, RowReader, find_columns
from backoffice.modules.products.schemas import ImportSummary
from tabur import Job, JobHandle, Tabur
from tabur.errors import JobCancelled, JobNotFound

CHUNK = 500
#: An import of so many rows or more is queued; a smaller one runs inside the request.
QUEUED_FROM = 50
PAGE = 50
#: What the bar counts, as it stands after a number of some size.
_ROWS = {"en": "rows", "ar": "صف"}
_OPEN = (ImportState.QUEUED, ImportState.RUNNING)
_log = logging.getLogger(__name__)


class Run(Protocol):
    """What an import tells while it runs; a JobContext is one."""

    @property
    def locale(self) -> str | None: ...

    def progress(self, done: int, total: int | None = None, *, unit: str | None = None) -> None: ...

    def warn(self, message: str, *, count: int = 1) -> None: ...

    def check_cancelled(self) -> None: ...


class _InRequest:
    """A run nobody watches: the answer comes when it is over."""

    locale = None

    def progress(self, done: int, total: int | None = None, *, unit: str | None = None) -> None:
        pass

    def warn(self, message: str, *, count: int = 1) -> None:
        pass

    def check_cancelled(self) -> None:
        pass


class Importer:
    """Carries imports to their end, in a worker or inside a request."""

    def __init__(self, sessions: sessionmaker[Session], events: Events, settings: Settings) -> None:
        self._sessions = sessions
        self._events = events
        self._settings = settings

    def run(self, import_id: int, ctx: Run) -> ImportSummary:
        """Imports what is not imported yet; calling it again after any interruption is safe.

        Raises UnreadableTable, BadHeader (both permanent) and JobCancelled.
        """
        while True:
            # A worker that was taken for dead may still have written one more chunk: go on after
            # it. The cursor's fence keeps the two from doing the same rows.
            with suppress(ImportMoved):
                return self._run(import_id, ctx)

    def give_up(self, import_id: int) -> None:
        """Marks the import failed and tells its owner."""
        with self._sessions.begin() as session:
            values = {"state": ImportState.FAILED, "finished_at": now()}
            if repository.change_state(session, import_id, expected=_OPEN, **values):
                work = session.get_one(ProductImport, import_id, populate_existing=True)
                work.failure = work.failure or {"code": "internal", "params": {}}
                self._events.tell(session, _ended(work))

    def _run(self, import_id: int, ctx: Run) -> ImportSummary:
        with self._sessions.begin() as session:
            expected = _OPEN
            repository.change_state(
                session, import_id, expected=expected, state=ImportState.RUNNING
            )
            work = session.get_one(ProductImport, import_id, populate_existing=True)
            work.started_at = work.started_at or now()
        if work.state != ImportState.RUNNING:
            return _summary(work)
        try:
            with open_table(
                upload_path(self._settings, work.business_id, work.sha256),
                TableInfo(**{**work.table, "header": tuple(work.table["header"])}),
                repository.cursor_of(work).place,
            ) as table:
                self._import(table, work, ctx)
        except (UnreadableTable, BadHeader) as problem:
            failure = {"code": problem.code, "params": problem.params}
            self._change(import_id, failure=failure)
            raise
        except JobCancelled:
            self._change(import_id, state=ImportState.CANCELLED, finished_at=now())
            raise
        return self._finish(import_id)

    def _import(self, table: Table, work: ProductImport, ctx: Run) -> None:
        cursor = repository.cursor_of(work)
        total = work.total if work.total is not None else table.rows
        unit = _ROWS.get(ctx.locale or "en", _ROWS["en"])
        reader = RowReader(table.header, currency=work.currency)
        if not work.table["header"]:
            self._change(work.id, table={**work.table, "header": list(table.header)}, total=total)
        if cursor.rejected:
            ctx.warn("rows rejected by an attempt before", count=cursor.rejected)
        ctx.progress(cursor.done, _at_least(total, cursor.done), unit=unit)
        rows = iter(table)
        while batch := list(islice(rows, CHUNK)):
            ctx.check_cancelled()
            if cursor.done + len(batch) > self._settings.max_rows:
                raise UnreadableTable("too_many_rows", limit=str(self._settings.max_rows))
            chunk = _check(batch, reader, table)
            with self._sessions.begin() as session:
                after = repository.apply_chunk(session, cursor, chunk, columns=reader.columns)
            if rejected := after.rejected - cursor.rejected:
                ctx.warn("rows rejected", count=rejected)
            cursor = after
            ctx.progress(cursor.done, _at_least(total, cursor.done), unit=unit)
        ctx.progress(cursor.done, cursor.done, unit=unit)

    def _finish(self, import_id: int) -> ImportSummary:
        with self._sessions.begin() as session:
            ended = repository.change_state(
                session,
                import_id,
                expected=(ImportState.RUNNING,),
                state=ImportState.COMPLETED,
                finished_at=now(),
            )
            work = session.get_one(ProductImport, import_id, populate_existing=True)
            if ended:
                work.total = work.done
                self._events.tell(session, _ended(work))
            return _summary(work)

    def _change(self, import_id: int, **values: Any) -> None:
        with self._sessions.begin() as session:
            repository.change_state(session, import_id, expected=(ImportState.RUNNING,), **values)


@dataclass(frozen=True, kw_only=True)
class ImportView:
    """An import as a page shows it. `handle` is there for the user who may watch its job."""

    work: ProductImport
    state: ImportState
    handle: JobHandle[ImportSummary] | None
    rejections: Sequence[ImportRejection] = ()


class Products:
    """The product list and its imports, for the members of a business."""

    def __init__(
        self,
        *,
        sessions: sessionmaker[Session],
        settings: Settings,
        importer: Importer,
        jobs: Tabur,
        import_job: Callable[[int], Job[ImportSummary]],
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._importer = importer
        self._jobs = jobs
        self._import_job = import_job

    def page(
        self,
        member: Member,
        *,
        query: str = "",
        after: str | None = None,
        before: str | None = None,
    ) -> ProductPage:
        with self._sessions() as session:
            return repository.product_page(
                session, member, query=query, after=after, before=before, size=PAGE
            )

    def start_import(
        self,
        member: Member,
        stream: BinaryIO,
        *,
        file_name: str,
        key: str | None = None,
        locale: str | None = None,
    ) -> ImportView:
        """Keeps the file and starts its import: queued from 50 rows on, else done on return.

        The same `key` with the same file answers the import that is there. Raises ImportRefused.
        """
        try:
            file = store(
                stream,
                upload_path(self._settings, member.business_id, ""),
                max_bytes=self._settings.max_upload_bytes,
            )
        except UploadTooLarge as error:
            raise ImportRefused(
                "too_large", status=413, params={"limit": str(error.limit // MIB or 1)}
            ) from None
        if key and (before := self._started_before(member, key, file)) is not None:
            return before
        try:
            info, rows = self._look(file)
        except ImportRefused:
            self._forget(member, file)
            raise
        work = ProductImport(
            business_id=member.business_id,
            user_id=member.user_id,
            file_name=_shown_name(file_name),
            sha256=file.sha256,
            size=file.size,
            table=asdict(info),
            currency=member.currency,
            state=ImportState.QUEUED,
            total=info.rows if rows >= QUEUED_FROM else rows or None,
            created_at=now(),
            idempotency_key=key,
        )
        at_once = 0 < rows < QUEUED_FROM
        try:
            with self._sessions.begin() as session:
                session.add(work)
                session.flush()
                if not at_once:
                    # In the import's own transaction: there is no import without its job.
                    work.job_id = self._dispatch(session, work, member, locale)
        except IntegrityError:
            started = self._started_before(member, key, file) if key else None
            if started is None:
                raise
            return started
        if at_once:
            self._run_here(work.id)
        return self.find_import(member, work.id, rejections=0) or self._view(member, work)

    def find_import(
        self, member: Member, import_id: int, *, rejections: int = 20
    ) -> ImportView | None:
        """The import with its first rejected rows; None if it is not there, or not the member's."""
        with self._sessions() as session:
            work = repository.own_import(session, member, import_id)
            if work is None:
                return None
            rows = repository.rejections(session, work.id, limit=rejections) if rejections else ()
        return self._view(member, work, rows)

    def imports(self, member: Member, *, limit: int = 20) -> Sequence[ImportView]:
        with self._sessions() as session:
            latest = repository.latest_imports(session, member, limit=limit)
        return [self._view(member, work) for work in latest]

    def rejected_rows(self, view: ImportView) -> Iterator[ImportRejection]:
        """Every kept rejected row, read in pages while it is sent."""
        after = 0
        while True:
            with self._sessions() as session:
                rows = repository.rejections(session, view.work.id, after=after, limit=1_000)
            if not rows:
                return
            yield from rows
            after = rows[-1].row

    def cancel_import(self, member: Member, import_id: int) -> ImportView | None:
        """Calls the import back; what was imported until then stays."""
        view = self.find_import(member, import_id, rejections=0)
        if view is not None and view.handle is not None:
            view.handle.cancel()
        return view

    def _look(self, file: StoredFile) -> tuple[TableInfo, int]:
        """What the file is, and its rows counted up to what decides; 0 for not looked inside."""
        try:
            info = inspect(file)
            if not info.header:
                return info, 0
            find_columns(info.header)
            rows = count_rows(file, info, up_to=QUEUED_FROM)
        except (UnreadableTable, BadHeader) as problem:
            raise ImportRefused(problem.code, params=problem.params) from None
        if rows == 0:
            raise ImportRefused("no_rows")
        if (info.rows or 0) > self._settings.max_rows:
            raise ImportRefused("too_many_rows", params={"limit": str(self._settings.max_rows)})
        return info, rows

    def _dispatch(
        self, session: Session, work: ProductImport, member: Member, locale: str | None
    ) -> str:
        pending = self._import_job(work.id).options(
            session=session,
            tenant=str(member.business_id),
            user=str(member.user_id),
            locale=locale,
        )
        return pending.dispatch().id

    def _run_here(self, import_id: int) -> None:
        try:
            self._importer.run(import_id, _InRequest())
        except Exception:
            _log.exception("import %s failed inside its request", import_id)
            self._importer.give_up(import_id)

    def _started_before(self, member: Member, key: str, file: StoredFile) -> ImportView | None:
        with self._sessions.begin() as session:
            work = repository.import_by_key(session, member, key)
        if work is None:
            return None
        if work.sha256 != file.sha256:
            raise ImportRefused("key_reused", status=422)
        return self._view(member, work)

    def _forget(self, member: Member, file: StoredFile) -> None:
        """Removes a refused file, unless an import was made of the same content before."""
        with self._sessions() as session:
            if not repository.has_file(session, member, file.sha256):
                file.path.unlink(missing_ok=True)

    def _view(
        self, member: Member, work: ProductImport, rows: Sequence[ImportRejection] = ()
    ) -> ImportView:
        state = ImportState(work.state)
        if work.job_id is None or work.user_id != member.user_id:
            return ImportView(work=work, state=state, handle=None, rejections=rows)
        handle: JobHandle[ImportSummary] = self._jobs.handle(work.job_id)
        if not state.finished:
            # A job called back before it started never came to tell its import.
            with suppress(JobNotFound, ValueError):
                state = ImportState(handle.status().state)
        return ImportView(work=work, state=state, handle=handle, rejections=rows)


def upload_path(settings: Settings, business_id: int, sha256: str) -> Path:
    """Where a business's upload lies: by what it contains, apart from other businesses'."""
    return settings.uploads / str(business_id) / sha256


def _check(batch: list[tuple[int, Sequence[str] | None]], reader: RowReader, table: Table) -> Chunk:
    good, bad = [], []
    for number, cells in batch:
        row = reader.read(cells)
        if isinstance(row, list):
            bad.append((number, cells or (), row))
        else:
            good.append((number, row, cells or ()))
    return Chunk(good=good, bad=bad, place=table.place)


def _at_least(total: int | None, done: int) -> int | None:
    return None if total is None else max(total, done)


def _shown_name(file_name: str) -> str:
    name = Path(file_name.replace("\\", "/")).name
    return "".join(char for char in name if char.isprintable())[:200] or "?"


def _summary(work: ProductImport) -> ImportSummary:
    return ImportSummary(
        import_id=work.id,
        rows=work.done,
        imported=work.imported,
        updated=work.updated,
        rejected=work.rejected,
    )


def _ended(work: ProductImport) -> ImportEnded:
    return ImportEnded(
        import_id=work.id,
        business_id=work.business_id,
        user_id=work.user_id,
        file_name=work.file_name,
        queued=work.job_id is not None,
        failed=work.state == ImportState.FAILED,
        imported=work.imported,
        updated=work.updated,
        rejected=work.rejected,
    )
