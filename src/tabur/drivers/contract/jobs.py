"""The path of a job: brought in, claimed and settled, tied to others, moved elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tabur.drivers.contract.values import CancelAnswer, Exchange, Exchanged, Filter, Rewrite
from tabur.model.batches import BatchRecord, NewBatch
from tabur.model.records import Attachment, Crash, NewJob


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
