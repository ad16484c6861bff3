"""What every store promises: the roles of a driver, and the obligations of each verb.

A driver is one object with ten roles. All verbs may be called from any thread. A verb either
does all it says, in one transaction, or nothing. A verb whose answer does not come raises
StoreUnavailable; then it is unknown whether it was done, and calling it again is safe. Where
nothing was sent, since no connection could be made, it raises the kind named StoreUnreachable.
Moments and spans are microseconds; "now" is the store's clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from tabur.model.batches import BatchRecord, NewBatch
from tabur.model.findings import Finding
from tabur.model.keeping import FinishedJob
from tabur.model.outcome import Settled, Transition
from tabur.model.records import (
    Attachment,
    Attempt,
    Backlog,
    ClaimedJob,
    Crash,
    JobRecord,
    NewJob,
    Owner,
    Pace,
    Pause,
    Progress,
    QueueSize,
    Signals,
    WorkerRecord,
)
from tabur.model.schedules import Advance, DueSchedules, Note, Origin, ScheduleRecord, Tick
from tabur.model.states import Isolation, State

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine


class CancelAnswer(StrEnum):
    CANCELLED = "cancelled"
    CANCELLING = "cancelling"
    """It is running and has been asked to stop."""
    FINISHED = "finished"
    UNKNOWN = "unknown"


class ProgressWrite(msgspec.Struct, frozen=True):
    id: bytes
    token: bytes
    progress: Progress


class Body(StrEnum):
    """Bytes of a job that no store looks into."""

    PAYLOAD = "payload"
    RESULT = "result"


class Rewrite(msgspec.Struct, frozen=True):
    """Other bytes in place of a job's payload or result; `before`: what stands there."""

    id: bytes
    body: Body
    before: bytes
    after: bytes


class Exchange(msgspec.Struct, frozen=True):
    """One turn of a worker: what has ended, how far the rest is, and what it could start now."""

    worker: str
    settle: Sequence[Transition] = ()
    progress: Sequence[ProgressWrite] = ()
    token: bytes = b""
    """Fresh for each turn that claims."""
    queues: Sequence[str] = ()
    """In strict order: nothing is claimed from a later one while an earlier one has work."""
    slots: Mapping[Isolation, int] = {}
    """How many may be claimed of each isolation; empty: claim nothing."""
    watch: bool = False
    """Ask which of this worker's jobs are to be cancelled."""


class Exchanged(msgspec.Struct, frozen=True):
    now: int
    settled: Sequence[Settled] = ()
    """One answer per transition, in order."""
    claimed: Sequence[ClaimedJob] = ()
    cancelling: frozenset[bytes] = frozenset()
    next_due: int | None = None
    """When the next scheduled job becomes due, if any is known."""


class Filter(msgspec.Struct, frozen=True):
    """Which jobs. Empty fields do not restrict."""

    states: tuple[State, ...] = ()
    queue: str | None = None
    name: str | None = None
    owner: Owner | None = None
    """Both fields of it, None too."""
    tenant: str | None = None
    """Whoever of its users they belong to."""
    batch: bytes | None = None
    """Jobs of one batch."""
    ended_before: int | None = None
    """Finished jobs that ended before a moment."""
    ended_since: int | None = None
    """Finished jobs that ended at a moment or later. What that costs grows with how many did, not
    with how many ended before."""


class Dispatching(Protocol):
    """Bringing jobs in, and the moves that people ask for."""

    def dispatch(
        self, jobs: Sequence[NewJob], batches: Sequence[NewBatch] = ()
    ) -> Mapping[bytes, bytes]:
        """Keep `batches` and `jobs`: blocked where they have blockers, scheduled where `due_at`
        lies ahead, else pending, in the order given. An id that is known already (running,
        finished, whatever) is passed over: dispatching twice is dispatching once. Wakes workers.

        - A new batch counts those of `jobs` that are bound to it. Of a batch that is there already
          the jobs are counted too, unless it has finished or is unknown: then ConfigError is raised
          and nothing is kept. (Of one that is among `batches` and has finished, this is the same
          dispatch again: those of its jobs that are not known were not kept, and are passed over.)
        - A job whose unique key is held by another one is kept or not as its `Conflict` says; of
          two in one call the later one comes later. A key whose window has passed, or whose holder
          has ended and had none, is free. What is replaced is cancelled once all jobs are counted.

        Answers, of jobs that were not kept for their key, which one holds it."""

    def cancel(self, job_id: bytes) -> CancelAnswer:
        """Cancel what has not started, or waits between two attempts, at once; mark what runs."""

    def retry(self, job_ids: Iterable[bytes]) -> int:
        """Make failed and cancelled jobs pending, counters at zero and progress anew; their history
        stays, its last ending now told as retried. One of which something that it waits for has not
        completed is blocked instead, by so many.
        Answers how many; jobs in another state are passed over, and those whose unique key another
        job holds.

        With a job comes back what was cancelled because it had ended: those that wait for it (not
        yet begun, and now cancelled) are blocked again, and so on from each of them, but for those
        whose unique key another job holds; so are those that waited for all of its batch, which is
        neither finished nor cancelled any more."""

    def forget(self, which: Filter) -> int:
        """Remove finished jobs, with records, history and attachments. Answers how many."""

    def forget_one(self, job_id: bytes) -> bool:
        """Remove one finished job. False where it is unknown or not finished."""

    def clear(self, queue: str) -> int:
        """Cancel all that waits on a queue: pending, scheduled, blocked. Not what runs."""


class Claiming(Protocol):
    """A worker's side. Every write bears the token of its claim and is refused when it moved on."""

    def exchange(self, turn: Exchange) -> Exchanged:
        """Settle, write progress and claim, in one transaction and one round trip.

        - A settle whose token is the job's current one moves the job, appends its outcome and
          applies its follow-ups, and what its bonds ask for where it has ended (see Batches).
          Repeated, it answers DONE again and changes nothing. With another
          token it answers STALE. One bad transition never fails its neighbours.
          (A hand-back leaves no trace: repeated, it answers STALE, and nothing is changed.)
        - A job that was marked to be cancelled and would run again is cancelled instead, without
          its follow-ups.
        - A job with a crash among its counters runs in a process of its own from then on.
        - Progress is written only where the token is current.
        - Jobs are claimed by priority (higher first), then in the order in which they became
          pending; never one that is due later, blocked or held by another claim. Each becomes
          processing under `turn.token` and `turn.worker`. The cost does not grow with the number
          of scheduled, blocked or finished jobs.
        - Due jobs are promoted by the way.
        """

    def release_token(self, token: bytes) -> int:
        """Make everything claimed under `token` pending again, uncharged: for a claim whose answer
        was lost. Answers how many."""

    def release_worker(self, worker: str, *, crash: Crash | None = None) -> int:
        """Make everything that `worker` holds pending again, at the place it had; what was marked
        to be cancelled is cancelled. With `crash`, each job that it blames has its crashes counted,
        is to run in a process of its own, and gets an outcome `crashed` with that error, the
        worker and its claim's moment. (Not its token: a settle of that claim which comes late is
        STALE.) Call it only when the worker's process is gone or was found lost: what it checks in
        its own transaction is that the claims are still this worker's. Repeated, it finds nothing
        to release.

        A job whose own transaction has locked the claim is left as it is, for that may yet commit,
        and nobody knows when: `holders` names its worker until it was released later."""

    def held(self, worker: str) -> Sequence[tuple[bytes, bytes]]:
        """Id and token of everything that `worker` holds by the store's account: now and then a
        child compares it with what it runs, and hands back the rest."""

    def holders(self) -> Sequence[str]:
        """The names of all workers that hold something, registered or not."""

    def begin(self, claims: Sequence[tuple[bytes, bytes]]) -> None:
        """Free the unique keys of jobs, by id and token, that hold one until they begin. Passed
        over where the claim has moved on or the key has."""

    def attach(self, job_id: bytes, token: bytes, attachment: Attachment) -> bool:
        """Record a file of a running job; False where the claim has moved on. The same `n` again
        replaces it."""


class Batches(Protocol):
    """Jobs that are counted together, and that wait for each other.

    Wherever a job ends for good (settled, called back, cleared, cancelled since another one failed)
    this happens in the same transaction, once:

    - each job in its bonds' `next` has one blocker less where it completed, and becomes pending or
      scheduled with the last; where it ended otherwise, each that is still blocked is cancelled
      (`tabur.model.batches.DEPENDENCY`), which is an end too;
    - its batch is counted, and what waits for that is unblocked or cancelled
      (`tabur.model.batches.ended`, UNFINISHED);
    - its unique key is free, unless that has a window or has gone over to another job.

    A batch's counters are exact at every moment, whoever dies. To unblock what is not blocked, or
    to cancel what is neither blocked nor waiting, is nothing.
    """

    def find(self, batch_id: bytes) -> BatchRecord | None: ...

    def list(self, *, limit: int, after: bytes | None = None) -> Sequence[BatchRecord]:
        """Newest id first, starting behind `after`."""

    def cancel(self, batch_id: bytes) -> bool:
        """Let no more of its jobs begin: workers cancel them as they come to them (`cancelled`).
        What runs goes on. False where it is unknown, has finished or is cancelled already."""

    def cancelled(self, batch_ids: Sequence[bytes]) -> frozenset[bytes]:
        """Which of them are cancelled. A worker asks it for each claim with jobs of batches, so it
        costs next to nothing."""

    def prune(self, *, before: int, unfinished: bool = False, limit: int) -> int:
        """Remove at most `limit` batches that finished before a moment, or, with `unfinished`, that
        were made before it and have not finished: what still waits for such a one is cancelled.
        Their jobs stay, and are counted by nobody. Answers how many."""


class Transfer(Protocol):
    """Taking jobs out, to bring them into another store; and bringing them under another key.

    What is taken out stands still, shown as blocked: nobody claims it, and no crash of who moves
    it loses it or lets it run twice. It stays until it is gone or put back.
    """

    def take_out(self, queue: str | None, *, limit: int) -> Sequence[NewJob]:
        """Take out at most `limit` jobs that wait, pending before scheduled (retries among them),
        of one queue or of all; with the counters of attempts before. Not what is blocked: what
        unblocks it is here; nor what has bonds. Nor what has left a checkpoint: it would begin anew
        elsewhere, and do twice what it did here. Empty: there is nothing left to take."""

    def taken_out(self) -> Sequence[NewJob]:
        """What stands taken out, by whoever began and did not finish; a thousand at most."""

    def gone(self, job_ids: Sequence[bytes]) -> None:
        """Remove taken-out jobs with record and history: they are in the other store now."""

    def put_back(self, job_ids: Sequence[bytes]) -> None:
        """Let taken-out jobs wait here again."""

    def rewrite(self, changes: Sequence[Rewrite]) -> int:
        """Put what means the same under another key in the place of payloads and results, in
        whatever state their jobs are. What does not stand there as `before` any more is passed
        over: repeated, nothing is changed. Nothing else of a job changes, and who has claimed it
        goes on with what it was given. Answers how many were replaced."""


class Workers(Protocol):
    """Who works, and signals to all of them."""

    def register(self, worker: WorkerRecord) -> None: ...

    def beat(self, workers: Sequence[str]) -> int:
        """Count one up on each; one that was removed meanwhile is not brought back. Answers how
        many of them are known."""

    def tell(self, paces: Mapping[str, Pace]) -> None:
        """Keep how fast workers are, until the next time; of one that was removed, nothing."""

    def list(self) -> Sequence[WorkerRecord]: ...

    def remove(self, worker: str, *, beats: int | None = None) -> bool:
        """With `beats`, only if its counter still stands there. Answers whether it was removed."""


class Control(Protocol):
    """Signals from people to all workers of a store. Every supervisor reads them every few seconds
    and obeys; nothing is told to anybody."""

    def signals(self) -> Signals:
        """All of them, in one round trip. Pauses whose end has come are left out."""

    def restart(self) -> int:
        """Ask every worker that runs now to stop after its jobs. Answers how many restarts have
        been asked for in all."""

    def pause(self, pause: Pause) -> None:
        """Let nothing be claimed from a queue; a pause of the same queue is replaced. `since` is
        set by the store's clock."""

    def resume(self, queue: str) -> bool:
        """End the pause of a queue. False where there was none."""

    def hold(self, reason: str) -> None:
        """Let no worker claim anything, until `release_hold`. A hold that is there stays."""

    def release_hold(self) -> bool:
        """End the hold, and advance the moment. False where there was none."""

    def advance(self) -> int:
        """Leave the present moment in the store (never an earlier one than there is), so that a
        store which was restored from a backup can be told by an older one. Answers it."""


class Inspection(Protocol):
    """Reading, for people and pages; never on the path of a job."""

    def find(self, job_id: bytes) -> JobRecord | None:
        """One job with its progress and last outcome."""

    def list(self, which: Filter, *, limit: int, after: bytes | None = None) -> Sequence[JobRecord]:
        """Jobs that match, newest id first, starting behind `after`: pages without a count.
        Payloads are left out."""

    def count(self, which: Filter, *, at_most: int) -> int:
        """How many match, counted no further than `at_most`."""

    def queues(self) -> Sequence[QueueSize]:
        """Every queue that holds an unfinished job, by name."""

    def backlog(self, queue: str, *, at_most: int) -> Backlog:
        """What is pending on one queue, counted no further than `at_most`; the cost does not depend
        on what else there is, so that a supervisor may ask every few seconds."""

    def attempts(self, job_id: bytes) -> Sequence[Attempt]:
        """Every ended attempt, oldest first."""

    def attachments(self, job_id: bytes) -> Sequence[Attachment]: ...

    def cursor(self, job_id: bytes) -> bytes | None:
        """What the job's last checkpoint left; None where there was none."""


class Retention(Protocol):
    """Finished jobs as what takes room, and their removal."""

    def finished(self, *, before: int | None = None) -> Iterator[Sequence[FinishedJob]]:
        """Finished jobs, page by page, those that ended last first (give or take how long a settle
        takes); with `before`, those that ended before a moment. What ends meanwhile may be missing;
        what is removed meanwhile keeps nothing else out."""

    def remove(self, job_ids: Sequence[bytes]) -> int:
        """Remove those of them that are finished, with records, history and attachments, in chunks.
        Answers how many."""


class Schedules(Protocol):
    """When what is due again and again. Any number of schedulers may use it at once; none leads.

    A name that not every store can keep (empty, above 200 characters, with NUL or half of a pair of
    surrogates) raises ConfigError. Names differ by each of their characters. What changes something
    is never repeated by the driver itself: no answer tells of one's own first try.
    """

    def put(self, schedules: Sequence[ScheduleRecord], *, origin: Origin | None = None) -> int:
        """Make schedules, or change those whose stored revision is one below the given: all but
        last_run_at and last_job, which only ticks change. One with any other revision (or a name
        that is taken, for revision 1) is passed over. With `origin`, those of that origin which are
        not among `schedules` are removed in the same transaction, their history stays. Answers how
        many were made or changed. Raises ConfigError for what not every store can keep, and then
        changes nothing."""

    def due(self, *, limit: int) -> DueSchedules:
        """Active schedules whose next_run_at has come by the store's clock, the longest due first.
        The cost does not depend on how many there are that are not due."""

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        """Of each move whose schedule still stands at `revision` and `seen`: write its ticks,
        dispatch its jobs (as `Dispatching.dispatch`, workers are woken), move next_run_at on, and
        last_run_at and last_job where a tick was dispatched. All of one move or nothing of it;
        False where another one was first, or it was changed, paused or deleted meanwhile. A tick
        that is known already is not decided again, and its job is not dispatched: no schedule made
        anew under an old name repeats what ran. Repeated, it answers False and changes nothing.

        Reasons are made storable, and cut after 500 characters. Where one move cannot be kept (a
        job's name of half a character), ConfigError is raised and none is made: who has others
        beside it comes again with each by itself."""

    def find(self, name: str) -> ScheduleRecord | None: ...

    def list(self, *, limit: int, after: str = "") -> Sequence[ScheduleRecord]:
        """By name, starting behind `after`."""

    def delete(self, name: str) -> bool:
        """Remove a schedule; its history stays. False where there is none."""

    def ticks(
        self, schedule: str | None, *, limit: int, before: int | None = None, below: str = ""
    ) -> Sequence[Tick]:
        """What became of ticks, of one schedule or of all, the latest moment first (and of one
        moment by name, backwards), starting below the moment `before`; or, amid those of that
        moment, below the schedule `below`: where a page has ended the next one begins."""

    def prune(self, *, before: int, limit: int) -> int:
        """Remove at most `limit` ticks that were due before a moment, oldest first. Answers how
        many."""


class Notes(Protocol):
    """Small things to remember. Who changes one says which revision it has seen, so that of two who
    change it at once one is told that it came too late. For names holds what holds for those of
    schedules; an empty prefix is that of all. Nor is a write repeated by the driver itself."""

    def read(self, prefix: str) -> Sequence[Note]:
        """Those whose name begins with `prefix`, by name."""

    def write(self, name: str, value: bytes, *, revision: int) -> bool:
        """Keep `value` (at most 64 KiB, else ConfigError) if the note stands at `revision` (0:
        there is none); its revision is one more then. False otherwise. (Where the answer was lost,
        `read` tells whether it was kept.)"""

    def erase(self, name: str, *, revision: int) -> bool:
        """Remove it if it stands at `revision`."""


class Listener(Protocol):
    """Waits for work; belongs to one thread. Correctness never rests on it: who waits asks again
    after `timeout` whatever was heard."""

    def wait(self, timeout: float) -> bool:
        """True when something may have changed; False after `timeout` seconds."""

    def interrupt(self) -> None:
        """End the wait that runs now or the next one; from any thread or a signal handler. After
        `close` it does nothing: a job's thread may be late."""

    def close(self) -> None: ...


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
