"""Odd jobs and their neighbours, dispatched, worked off, and looked at one by one."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from tabur import ConfigError, PayloadError, PendingJob, State, Tabur
from tabur.drivers.contract import Filter
from tabur.model.codec import encode_result
from tabur.model.records import JobRecord, NewJob
from tests.bad_input.odd_jobs import odd_pending, odd_runs, tampered_job
from tests.worker.workshop import Workshop

#: Why a job may fail that was written into the store by somebody else.
REASONS = {"PayloadError", "UnknownJob", "JobExpired", "JobTimedOut"}


class Accepted:
    """What went into the store through the public names, and what has to come out."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, PendingJob[Any]] = {}
        self.refused: Counter[str] = Counter()

    def dispatch(self, app: Tabur, pending: Iterable[PendingJob[Any]]) -> None:
        made = list(pending)
        for handle, each in zip(app.dispatch_many(made), made, strict=True):
            self.jobs[uuid.UUID(handle.id).bytes] = each

    def make(self, make: Callable[[], PendingJob[Any]]) -> list[PendingJob[Any]]:
        """The pending job, or nothing where it was refused, which must be by a clear error."""
        try:
            return [make()]
        except (PayloadError, ConfigError) as error:
            self.refused[type(error).__name__] += 1
            assert_readable(str(error))
            return []


def assert_readable(message: str) -> None:
    """Says something, at a length that a person reads, in characters that every log can carry."""
    assert 10 <= len(message) <= 1_000, message[:2_000]
    assert "Traceback" not in message
    message.encode()


class Trial:
    """Puts odd jobs into a shop's store, and knows what must become of each."""

    def __init__(self, shop: Workshop, seed: int) -> None:
        self._shop = shop
        self._rng = Random(seed)
        self.accepted = Accepted()
        self.neighbours: dict[bytes, int] = {}
        self.stored: dict[bytes, str] = {}
        self._foreign: list[bytes] = []
        self.cases = 0

    def add_batch(self, size: int) -> None:
        """Half of them by the public names, half put right into the store; ten good ones after."""
        module, app, rng = self._shop.module, self._shop.jobs, self._rng
        self.accepted.dispatch(
            app,
            [
                each
                for _ in range(size // 2)
                for each in self.accepted.make(lambda: odd_pending(rng, module))
            ],
        )
        tampered = [tampered_job(rng) for _ in range(size // 2)]
        app.driver.dispatching.dispatch([job for job, _ in tampered])
        self.stored |= {job.id: what for job, what in tampered}
        self._foreign += [job.id for job, _ in tampered]
        kind = (module.neighbour, module.light_neighbour)[self.cases // size % 2]
        handles = app.dispatch_many([kind(n=n) for n in range(10)])
        self.neighbours |= {uuid.UUID(each.id).bytes: n for n, each in enumerate(handles)}
        self.cases += size

    def add_runs(self) -> None:
        """Jobs whose arguments are fine, and whose runs are not."""
        runs = odd_runs(self._shop.module)
        handles = self._shop.jobs.dispatch_many(runs)
        for handle, run in zip(handles, runs, strict=True):
            self.stored[uuid.UUID(handle.id).bytes] = f"{run.name} {run.payload!r}"
        self.cases += len(runs)

    def add_stored(self, job: NewJob, what: str) -> None:
        self._shop.jobs.driver.dispatching.dispatch([job])
        self.stored[job.id] = what
        self._foreign.append(job.id)

    def judge(self) -> Counter[State]:
        """Let a worker work all of it off, and look at each. Answers how they ended."""
        app = self._shop.jobs
        worker = self._shop.worker(
            *("--stop-when-empty", "--processes=2", "--concurrency=20", "--unknown-for=0")
        )
        worker.ended()
        assert "Traceback" not in worker.output.replace("failed() of", "")
        records = {each.id: each for each in app.driver.inspection.list(Filter(), limit=50_000)}
        known = {*self.accepted.jobs, *self.stored, *self.neighbours}
        assert records.keys() == known
        for record in records.values():
            # one that was told to wait for 1e308 seconds does; all others have come to their end
            patient = record.state is State.SCHEDULED and b"backoff" in record.options
            assert record.state in {State.COMPLETED, State.FAILED} or patient
        for job_id, n in self.neighbours.items():
            record = records[job_id]
            assert (record.state, record.result) == (State.COMPLETED, str(n * 2).encode())
            assert (record.attempts, record.crashes) == (1, 0)
        for job_id, each in self.accepted.jobs.items():
            assert_came_out(app, records[job_id], each)
        for job_id, what in self.stored.items():
            assert_reason(records[job_id], what)
        for job_id in self._foreign:
            if records[job_id].name != "fails" and (error := records[job_id].error) is not None:
                assert error.type in REASONS, (error, self.stored[job_id])
        return Counter(each.state for each in records.values())


def assert_came_out(app: Tabur, record: JobRecord, pending: PendingJob[Any]) -> None:
    """What was accepted is kept byte for byte, and its job saw what its dispatcher was shown."""
    found = app.driver.inspection.find(record.id)
    assert found is not None
    assert found.payload == pending.payload
    if pending.name != "echo":
        return
    assert record.state is State.COMPLETED, record.error
    assert record.result == encode_result(pending.args.value)


def assert_reason(record: JobRecord, what: str) -> None:
    assert record.crashes == 0, what
    if record.state is State.COMPLETED:
        return
    assert record.error is not None, what
    assert re.fullmatch(r"[A-Za-z_][\w.<>\\]*", record.error.type), (record.error.type, what)
    assert 1 <= len(record.error.message) <= 2_000, (record.error.message, what)
    assert "Traceback" not in record.error.message, what
