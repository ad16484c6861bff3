"""The one store of a world: any driver, with the plain model beside it. Each verb that arrives is
done on both, and they must agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tabur.drivers.contract import CancelAnswer, Driver, Exchange, Exchanged
from tabur.model.outcome import Settled, Transition
from tabur.model.records import Crash, NewJob, Pause, WorkerRecord
from tabur.model.states import FINISHED, State
from tabur.testing.model import Model
from tabur.testing.model_job import ModelJob

if TYPE_CHECKING:
    from tabur.testing.simulation.host import HostProcess
    from tabur.testing.simulation.world import World


class Asked(msgspec.Struct, frozen=True):
    """Who has sent a call, and when; it may arrive much later. `answered_at`: when the one before
    had come to its end."""

    by: HostProcess
    at: float
    answered_at: float


class Store:
    def __init__(self, world: World, driver: Driver) -> None:
        self.driver = driver
        self.model = Model(world.store_clock)
        self.beats: dict[str, int] = {}
        """Of the workers that are registered."""
        self.restarted_at = 0.0
        """When all workers were last asked to."""
        self._world = world
        self._roles = {
            name: getattr(driver, name)
            for name in ("claiming", "control", "dispatching", "inspection", "workers")
        }
        self._roles[""] = driver

    def perform(self, asked: Asked, role: str, verb: str, *given: Any, **named: Any) -> Any:
        """A call arrives."""
        self.model.step += 1
        beside = getattr(self, f"_{verb}", None)
        do = getattr(self._roles[role], verb)
        try:
            if beside is None:
                return do(*given, **named)
            return beside(asked, do, *given, **named)
        except Exception as error:
            self._world.broken(f"{verb}: {str(error) or 'otherwise than in the model'}")
            raise

    @property
    def unfinished(self) -> list[ModelJob]:
        return [job for job in self.model.jobs.values() if job.state not in FINISHED]

    @property
    def has_waiting(self) -> bool:
        waiting = (State.PENDING, State.SCHEDULED)
        return any(job.state in waiting for job in self.model.jobs.values())

    def compare(self) -> None:
        """All jobs at once, in the end."""
        for job in self.model.jobs.values():
            self._same(job)

    # each verb, on both

    def _exchange(self, asked: Asked, do: Any, turn: Exchange) -> Exchanged:
        world, model = self._world, self.model
        answer: Exchanged = do(turn)
        for move, settled in zip(turn.settle, answer.settled, strict=True):
            self._settled(move, settled)
        for write in turn.progress:
            model.report(write.id, write.token, write.progress)
        if answer.claimed or (turn.slots and self.has_waiting):
            model.claim(
                answer.claimed, turn.queues, turn.slots, token=turn.token, worker=turn.worker
            )
        for claimed in answer.claimed:
            world.ledger.claimed(claimed, turn.worker)
            world.note(asked.by, "claims", claimed)
            world.promises.claimed(asked, claimed)
        self._see_promoted()
        touched = [each.id for each in turn.settle] + [each.id for each in turn.progress]
        for job_id in dict.fromkeys(touched + [each.id for each in answer.claimed]):
            self._same(model.jobs[job_id])
        if turn.settle:
            world.changed()
        return answer

    def _settled(self, move: Transition, settled: Settled) -> None:
        model, world = self.model, self._world
        job = model.jobs[move.id]
        attempts, crashes, is_current = job.attempts, job.crashes, job.token == move.token
        expected = model.settle(move)
        assert settled is expected, f"{settled} for a settle that is {expected}"
        if is_current:
            world.ledger.settled(move, job.new, attempts=attempts, crashes=crashes)
        world.note(None, f"settles {move.ending or 'handed back'}: {settled}", job.new, move.token)

    def _release_token(self, asked: Asked, do: Any, token: bytes) -> int:
        released: int = do(token)
        held = [job for job in self.model.jobs.values() if job.token == token]
        assert released == len(held), "released otherwise than the claim was"
        for job in held:
            self.model.release(job)
            self._same(job)
        self._world.note(asked.by, "releases the claim", token, [job.new for job in held])
        self._world.changed()
        return released

    def _release_worker(
        self, asked: Asked, do: Any, worker: str, *, crash: Crash | None = None
    ) -> int:
        held = self.model.held_by(worker)
        blamed = [] if crash is None else [each.new for each in held if crash.blames(each.new.id)]
        self._world.promises.releases(asked, worker, blamed)
        released: int = do(worker, crash=crash)
        assert released == len(held), "released other jobs than the worker held"
        for job in held:
            self.model.release(job, crash=crash)
            self._same(job)
        self._world.note(asked.by, f"releases worker {worker}", [job.new for job in held])
        self._world.changed()
        return released

    def _register(self, asked: Asked, do: Any, worker: WorkerRecord) -> None:
        do(worker)
        self.beats[worker.id] = worker.beats
        self._world.registered(asked.by, worker)

    def _beat(self, _: Asked, do: Any, workers: Sequence[str]) -> int:
        known: int = do(workers)
        mine = [worker for worker in workers if worker in self.beats]
        assert known == len(mine), "a beat of other workers than are known"
        for worker in mine:
            self.beats[worker] += 1
            self._world.promises.beaten(worker)
        return known

    def _list(self, asked: Asked, do: Any) -> Sequence[WorkerRecord]:
        workers: Sequence[WorkerRecord] = do()
        self._world.promises.looks(asked.by, self.beats)
        return workers

    def _remove(self, asked: Asked, do: Any, worker: str, *, beats: int | None = None) -> bool:
        removed: bool = do(worker, beats=beats)
        there = worker in self.beats and beats in (None, self.beats[worker])
        assert removed is there, "a worker was removed otherwise than asked"
        if removed:
            self._world.promises.removes(asked, worker)
            del self.beats[worker]
            self._world.note(asked.by, f"removes worker {worker}")
        return removed

    def _dispatch(self, asked: Asked, do: Any, jobs: Sequence[NewJob]) -> None:
        do(jobs)
        self.model.dispatch(jobs)
        self._world.note(asked.by, "dispatches", list(jobs))
        self._world.changed()

    def _cancel(self, asked: Asked, do: Any, job_id: bytes) -> CancelAnswer:
        answer: CancelAnswer = do(job_id)
        assert answer is self.model.cancel(job_id), "cancelled otherwise than asked"
        self._world.note(asked.by, f"calls back ({answer})", job_id)
        return answer

    def _retry(self, asked: Asked, do: Any, job_ids: Sequence[bytes]) -> int:
        retried: int = do(job_ids)
        assert retried == sum(map(self.model.retry, job_ids)), "retried otherwise than asked"
        self._world.note(asked.by, "retries", list(job_ids))
        self._world.changed()
        return retried

    def _pause(self, asked: Asked, do: Any, pause: Pause) -> None:
        do(pause)
        self._world.promises.paused(pause.queue)
        self._world.note(asked.by, f"pauses {pause.queue}")

    def _resume(self, asked: Asked, do: Any, queue: str) -> bool:
        self._world.promises.resumed(queue)
        self._world.note(asked.by, f"resumes {queue}")
        return bool(do(queue))

    def _restart(self, asked: Asked, do: Any) -> int:
        self._world.note(asked.by, "asks all workers to restart")
        self.restarted_at = self._world.timeline.now
        return int(do())

    def _hold(self, asked: Asked, do: Any, reason: str) -> None:
        by_people = asked.by.host not in self._world.hosts
        assert by_people, f"put on hold, though it was not restored: {reason}"
        do(reason)
        self._world.note(asked.by, "holds everything")

    # looking

    def _see_promoted(self) -> None:
        """A store promotes what is due when it likes."""
        for job in self.model.jobs.values():
            if self.model.is_due(job):
                record = self.driver.inspection.find(job.new.id)
                if record is not None and record.state is State.PENDING:
                    self.model.see_promoted(job)

    def _same(self, job: ModelJob) -> None:
        record = self.driver.inspection.find(job.new.id)
        assert record is not None, "a job was lost"
        if record.state is State.PENDING and job.state is State.SCHEDULED:
            self.model.see_promoted(job)
        assert record.state is job.state, f"{record.state} in the store, and really {job.state}"
        assert record.attempts == job.attempts, "attempts otherwise than in the model"
        assert record.crashes == job.crashes or job.state in FINISHED
        assert record.progress == job.progress, "progress otherwise than in the model"
        if job.state is State.PROCESSING:
            assert record.worker == job.worker
