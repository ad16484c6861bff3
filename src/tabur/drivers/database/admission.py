"""Bringing in jobs that are tied to others: with their batches, and with their unique keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace
from sqlalchemy import bindparam, insert, select, update

from tabur.drivers.database.batch_rows import batch_row
from tabur.drivers.database.bonds import Counts, Following
from tabur.drivers.database.rows import LOOKS, WORK, Rows, Source, names
from tabur.drivers.database.schema import batches, links, members, ready, records, uniques, waiting
from tabur.drivers.database.statements import ZERO
from tabur.errors import ConfigError, StoreUnavailable
from tabur.model.batches import NewBatch, opened
from tabur.model.bonds import Conflict, Unique
from tabur.model.records import NewJob

P = bindparam

REPLACED = "Replaced by a later one."

#: Keeps new jobs, at a moment; answers whether any may be claimed at once.
Put = Callable[[Any, Sequence[NewJob], int], bool]


class KnownJob(Exception):
    """A job is known whose unique key is held: it was to be passed over before that was asked."""


class Admitted(NamedTuple):
    holders: Mapping[bytes, bytes]
    """Of jobs that were not kept for their key, who holds it."""
    woken: bool


class _Held(NamedTuple):
    job: bytes
    since: int
    ends_at: int | None


def is_bound(jobs: Sequence[NewJob]) -> bool:
    return any(job.bonds is not None for job in jobs)


class Admission:
    """All jobs and batches that it is given are new; where one is known, the store's KnownId or
    KnownJob is raised, and the transaction is to be rolled back."""

    def __init__(self, source: Source, rows: Rows, following: Following) -> None:
        self._rows = rows
        self._following = following
        self._sql = _Statements(source)

    def unknown(
        self, cursor: Any, jobs: Sequence[NewJob], new: Sequence[NewBatch]
    ) -> tuple[list[NewJob], list[NewBatch]]:
        """Those whose ids are not known yet; without the jobs of a batch among them that has
        finished, since those were not kept before."""
        known = {row[0] for row in self._sql.known.all(cursor, [job.id for job in jobs])}
        there: dict[bytes | None, int | None] = dict(
            self._sql.known_batches.all(cursor, sorted(each.id for each in new))
        )
        fresh = [job for job in jobs if job.id not in known]
        if any(finished_at is not None for finished_at in there.values()):
            fresh = [job for job in fresh if there.get(_batch_of(job)) is None]
        return fresh, [each for each in new if each.id not in there]

    def dispatch(
        self,
        cursor: Any,
        jobs: Sequence[NewJob],
        new: Sequence[NewBatch],
        now: int,
        *,
        put: Put,
        refuse: Callable[[NewJob], None] = lambda job: None,
    ) -> Admitted:
        """Keep them. What is not kept for its key is given to `refuse`. Raises ConfigError for a
        job of a batch that takes no more."""
        run = _Run(cursor, now, put)
        jobs = list(_each_once(jobs))
        have_theirs = self._take_free(run, jobs)
        for job in jobs:
            bonds = job.bonds
            kept: NewJob | None = job
            if bonds is not None and bonds.unique is not None and job.id not in have_theirs:
                kept = self._with_key(run, job, bonds.unique)
            if kept is not None:
                run.kept.append(kept)
            else:
                refuse(job)
                if bonds is not None and bonds.batch is not None:
                    run.sizes[bonds.batch] += 0  # its batch has to take jobs all the same
        self._keep(run)
        self._open(run, new)
        self._cancel_replaced(run)
        self._enlarge(run, {each.id for each in new})
        run.woken |= self._following.count(cursor, run.counts, now)
        return Admitted(run.holders, run.woken)

    def take_back(self, cursor: Any, job_id: bytes, unique: Unique, now: int) -> bool:
        """Whether a job that is to run again holds its key, or can take it."""
        if unique.window is not None:
            return True
        held = self._take(cursor, unique, job_id, now)
        return held is None or held.job == job_id

    # keys

    def _with_key(self, run: _Run, job: NewJob, unique: Unique) -> NewJob | None:
        """The job as it is to be kept; None where its key is another one's."""
        held = self._take(run.cursor, unique, job.id, run.now)
        if held is None:
            return job
        if self._rows.is_known(run.cursor, job.id):
            raise KnownJob
        if unique.conflict is Conflict.SKIP:
            run.holders[job.id] = held.job
            return None
        due_at = job.due_at
        if unique.longest is not None and due_at is not None:
            due_at = min(due_at, held.since + unique.longest)
        ends_at = None if unique.window is None else run.now + unique.window
        if unique.conflict is Conflict.REPLACE:
            self._sql.pass_on.run(run.cursor, job.id, ends_at, unique.key)
            run.replaced.append(held.job)
            return replace(job, due_at=due_at)
        if held.ends_at is not None and ends_at is not None:
            self._sql.pass_on.run(run.cursor, held.job, ends_at, unique.key)
        if any(each.id == held.job for each in run.kept):
            self._keep(run)
        run.woken |= self._put_off(run, held.job, due_at)
        run.holders[job.id] = held.job
        return None

    def _take_free(self, run: _Run, jobs: Sequence[NewJob]) -> frozenset[bytes]:
        """Take what is free of many keys at once, all who do in one order. Answers which jobs have
        got theirs; of two with the same key the first."""
        rows: dict[bytes, tuple[bytes, bytes, int, int | None]] = {}
        for job in jobs:
            if (bonds := job.bonds) is not None and (unique := bonds.unique) is not None:
                ends_at = None if unique.window is None else run.now + unique.window
                rows.setdefault(unique.key, (unique.key, job.id, run.now, ends_at))
        if len(rows) < 2:
            return frozenset()
        keys = sorted(rows)
        if self._sql.take_new.many(run.cursor, [rows[key] for key in keys]) == len(rows):
            return frozenset(row[1] for row in rows.values())
        held = self._sql.held_by.all(run.cursor, keys)
        return frozenset(job_id for key, job_id in held if rows[key][1] == job_id)

    def _take(self, cursor: Any, unique: Unique, job_id: bytes, now: int) -> _Held | None:
        """Take a key for a job; answers who holds it where that cannot be."""
        ends_at = None if unique.window is None else now + unique.window
        for _ in range(LOOKS):
            if self._sql.take.run(cursor, unique.key, job_id, now, ends_at) == 1:
                return None
            row = self._sql.holder.one(cursor, unique.key)
            if row is None:
                continue  # given back just now
            held = _Held(*row)
            if held.ends_at is None or held.ends_at > now:
                return held
            self._sql.take_over.run(cursor, job_id, now, ends_at, unique.key)
            return None
        raise StoreUnavailable("A unique key is taken and given back too fast to be looked at.")

    def _cancel_replaced(self, run: _Run) -> None:
        cancelled = [
            job_id
            for job_id in run.replaced
            if self._rows.cancel(run.cursor, job_id, REPLACED, run.now, running=False)
        ]
        run.woken |= self._following.cancelled(run.cursor, cancelled, run.now, run.counts)

    def _put_off(self, run: _Run, job_id: bytes, due_at: int | None) -> bool:
        """Let one that waits be due at another time. Answers whether it may be claimed now."""
        cursor = run.cursor
        later = due_at is not None and due_at > run.now
        row = self._sql.pending.one(cursor, job_id)
        if row is not None:
            if later:
                self._rows.delete_locked.run(cursor, job_id)
                self._rows.insert_waiting.run(cursor, *row, due_at, 0)
            return False
        row = self._sql.waiting.one(cursor, job_id)
        if row is None:
            return False
        if later or row[-1]:
            self._sql.put_off.run(cursor, due_at, job_id)
            return False
        self._rows.delete_waiting.run(cursor, job_id)
        self._rows.insert_ready.run(cursor, *row[:-1])
        return True

    # rows

    def _keep(self, run: _Run) -> None:
        """Insert what is to be kept so far."""
        if not run.kept:
            return
        run.woken |= run.put(run.cursor, run.kept, run.now)
        bound = [(job.id, bonds) for job in run.kept if (bonds := job.bonds) is not None]
        of_batches = [(bonds.batch, job_id) for job_id, bonds in bound if bonds.batch is not None]
        self._sql.insert_members.many(run.cursor, of_batches)
        ties = [(target, job_id) for job_id, bonds in bound for target in bonds.next]
        self._sql.insert_links.many(run.cursor, ties)
        run.sizes.update(batch_id for batch_id, _ in of_batches)
        run.kept.clear()

    def _open(self, run: _Run, new: Sequence[NewBatch]) -> None:
        """Insert new batches, each with so many jobs as were kept; those without any have
        finished."""
        rows = []
        for each in new:
            total = run.sizes.pop(each.id, 0)
            rows.append(batch_row(replace(opened(each, total), finished_at=None)))
            if not total:
                run.counts.touch(each.id)
        self._sql.insert_batches.many(run.cursor, rows)
        ties = [(target, each.id) for each in new for target in each.next]
        self._sql.insert_links.many(run.cursor, ties)

    def _enlarge(self, run: _Run, new: set[bytes]) -> None:
        """Count jobs in batches that are there already."""
        for batch_id in sorted(run.sizes.keys() - new):
            count = run.sizes[batch_id]
            if count:
                takes = self._sql.enlarge.run(run.cursor, count, count, batch_id) == 1
            else:
                takes = self._sql.is_open.one(run.cursor, batch_id) is not None
            if not takes:
                raise ConfigError("The batch has finished or is not known: it takes no more jobs.")


def _batch_of(job: NewJob) -> bytes | None:
    return None if job.bonds is None else job.bonds.batch


def _each_once(jobs: Iterable[NewJob]) -> Iterable[NewJob]:
    """Of two with one id, the first."""
    by_id: dict[bytes, NewJob] = {}
    for job in jobs:
        by_id.setdefault(job.id, job)
    return by_id.values()


class _Run:
    """One dispatch on its way."""

    def __init__(self, cursor: Any, now: int, put: Put) -> None:
        self.cursor, self.now, self.put = cursor, now, put
        self.kept: list[NewJob] = []
        self.holders: dict[bytes, bytes] = {}
        self.replaced: list[bytes] = []
        self.sizes: Counter[bytes] = Counter()
        """Of batches, how many jobs were kept."""
        self.counts = Counts()
        self.woken = False


class _Statements:
    def __init__(self, source: Source) -> None:
        b, y, w, r, u = batches.c, ready.c, waiting.c, records.c, uniques.c
        self.known = source.keyed(select(r.id), r.id)
        self.known_batches = source.keyed(select(b.id, b.finished_at).with_for_update(), b.id)
        self.insert_batches = source.prepare(insert(batches), *names(batches))
        self.insert_members = source.inserting(members)
        self.insert_links = source.inserting(links)
        self.enlarge = source.prepare(
            update(batches)
            .where(b.id == P("batch"), b.finished_at.is_(None))
            .values(total_jobs=b.total_jobs + P("more"), pending_jobs=b.pending_jobs + P("same")),
            *("more", "same", "batch"),
        )
        self.is_open = source.prepare(
            select(b.id).where(b.id == P("batch"), b.finished_at.is_(None)), "batch"
        )
        self.take = source.prepare(source.ignoring_known(insert(uniques)), *names(uniques))
        self.take_new = source.inserting_new(uniques)
        self.held_by = source.keyed(select(u.key, u.job), u.key)
        self.holder = source.prepare(
            select(u.job, u.since, u.ends_at).where(u.key == P("wanted")).with_for_update(),
            "wanted",
        )
        self.take_over = source.prepare(
            update(uniques)
            .where(u.key == P("wanted"))
            .values(job=P("holds"), since=P("now"), ends_at=P("ends")),
            *("holds", "now", "ends", "wanted"),
        )
        self.pass_on = source.prepare(
            update(uniques).where(u.key == P("wanted")).values(job=P("holds"), ends_at=P("ends")),
            *("holds", "ends", "wanted"),
        )
        self.pending = source.prepare(
            select(*(y[name] for name in WORK))
            .where(y.id == P("job"), y.token.is_(None))
            .with_for_update(),
            "job",
        )
        self.waiting = source.prepare(
            select(*(w[name] for name in WORK), w.blockers)
            .where(w.id == P("job"), w.blockers >= ZERO)
            .with_for_update(),
            "job",
        )
        self.put_off = source.prepare(
            update(waiting).where(w.id == P("job")).values(due_at=P("due")), "due", "job"
        )
