"""Looking at jobs, and removing those that have ended; never on the path of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tabur.drivers.contract.values import Filter
from tabur.model.keeping import FinishedJob
from tabur.model.records import Attachment, Attempt, Backlog, JobRecord, QueueSize


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
