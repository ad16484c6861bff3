"""What really happened, in every process, and whether it may: kept apart from the store, and from
what any worker knows."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tabur.model.clock import SECOND
from tabur.model.decide import CRASHES_UNTIL_POISON
from tabur.model.outcome import Ending, Transition
from tabur.model.records import ClaimedJob, NewJob, decode_options
from tabur.model.retry import backoff_us
from tabur.model.states import Isolation
from tabur.testing.simulation.acts import Hopeless
from tabur.testing.simulation.executions import CHARGED, Execution, How
from tabur.testing.simulation.jobs import WITH_HOOK

if TYPE_CHECKING:
    from tabur.testing.simulation.host import HostProcess
    from tabur.testing.simulation.world import World
    from tabur.worker.running.run import Run

EPSILON = 0.001
#: Seconds that a retry may be late: as long as an answer takes, and as what is given up waits for
#: the end of its process.
LATEST_RETRY = 30.0
#: Seconds after its deadline in which a job that has frozen its process is killed with it.
FROZEN_IN = 10.0


class Ledger:
    def __init__(self, world: World) -> None:
        self._world = world
        self.executions: dict[tuple[bytes, bytes], Execution] = {}
        """By job and token."""
        self.running: dict[tuple[bytes, bytes], Execution] = {}
        """Those that have not ended."""
        self.claims: dict[tuple[bytes, bytes], float] = {}
        """When the store has given each claim."""
        self.hooks: Counter[tuple[bytes, bytes]] = Counter()
        """Calls of `failed()`, of each claim."""
        self.effects: Counter[bytes] = Counter()
        """Ends that the store has taken as completed, of each job: what it wrote in the transaction
        of its settle."""
        self._of_job: defaultdict[bytes, list[Execution]] = defaultdict(list)

    # what processes do

    def begin(self, run: Run, isolation: Isolation) -> Execution:
        job, expect = run.job, self._world.expect
        process: HostProcess = self._world.timeline.process
        execution = Execution(
            run,
            process,
            isolation,
            began=self._world.timeline.now,
            stood_before=process.standstill.seconds,
            host_stood_before=process.host.standstill.seconds,
        )
        self._world.note(process, "starts", job, isolation)
        expect((job.id, job.token) not in self.executions, "{} began twice by one claim", job)
        self._may_begin(execution)
        self._runs_alone(execution)
        self.executions[job.id, job.token] = self.running[job.id, job.token] = execution
        self._of_job[job.id].append(execution)
        return execution

    def _may_begin(self, execution: Execution) -> None:
        run, expect = execution.run, self._world.expect
        job, tries = run.job, run.policy.tries
        for other in self._of_job[job.id]:
            ended = other.is_settled or not other.process.lives or other.is_excused
            expect(ended, "{} runs again, though it ended in {}", job, other.process.name)
        expect(job.crashes < CRASHES_UNTIL_POISON, "{} runs, though it is poison", job)
        expect(tries == 0 or job.attempts < tries, "{} runs more often than its tries", job)
        alone = job.crashes == 0 or execution.isolation is Isolation.PROCESS
        expect(alone, "{} runs among others after a crash", job)
        expires = decode_options(job.options).expires
        claimed_at = self._world.store_moment(self.claims[job.id, job.token])
        expect(expires is None or claimed_at < expires, "{} runs, though it is too late", job)

    def end(self, execution: Execution, how: How) -> None:
        job = execution.run.job
        execution.how, execution.ended = how, self._world.timeline.now
        self.running.pop((job.id, job.token), None)
        self._world.note(execution.process, how, job)
        self._runs_alone(execution)

    def _runs_alone(self, execution: Execution) -> None:
        """Looked at when a run begins and when it ends."""
        job = execution.run.job
        for other in self._of_job[job.id]:
            if other is not execution and other.is_live:
                # A person may retry what has failed for good, and not ended yet.
                alone = other.is_excused or execution.is_excused or other.has_failed
                where = other.process.name
                self._world.expect(alone, "{} runs twice at once, in {} too", job, where)

    def died(self, process: HostProcess) -> None:
        """All that ran in it ended with it."""
        for claim, execution in list(self.running.items()):
            if execution.process is process:
                execution.how = How.DIED
                del self.running[claim]

    def froze(self, execution: Execution) -> None:
        """Its process lets no other thread run, and has to be killed for it."""
        process, supervisor = execution.process, execution.process.supervisor
        assert supervisor is not None
        process.is_frozen = True
        process.stop()

        def look() -> None:
            since = max(process.standstill.awake_since, supervisor.standstill.awake_since)
            awake = process.timeline.now - since
            sees = supervisor.lives and not supervisor.is_stopped and awake > FROZEN_IN
            gone, job = not process.lives or not sees, execution.run.job
            self._world.expect(gone, "{} is left though {} has frozen it", process.name, job)

        if not execution.run.timed_out:  # else its process ends for that
            process.timeline.at(execution.overtime_from + FROZEN_IN, look)

    def was_over_its_time(self, job: NewJob) -> bool:
        """Whether the last run of a job was. What a healthy process, or its host, stood still is no
        time of it. One that was just about to begin is told from one that has by nobody who looks
        at a frozen process from outside."""
        if not self._of_job[job.id]:
            return True
        last = self._of_job[job.id][-1]
        process, took = last.process, self._world.timeline.now - last.began
        if not (process.is_frozen or process.has_been_held):
            took -= process.host.standstill.seconds - last.host_stood_before
        return took >= last.run.timeout

    def given_up(self, process: HostProcess, job_id: str) -> None:
        """Its worker says that it does not end."""
        runs = [each for each in self.running.values() if each.process is process]
        running = any(each.run.ctx.job_id == job_id for each in runs)
        self._world.expect(
            running, "{} says that {} does not end, and it has", process.name, job_id
        )

    def hooked(self, job: ClaimedJob) -> None:
        self.hooks[job.id, job.token] += 1
        self._world.note(self._world.timeline.process, "calls failed() of", job)

    # what the store takes

    def claimed(self, job: ClaimedJob, worker: str) -> None:
        world = self._world
        self.claims[job.id, job.token] = world.timeline.now
        world.expect(worker in world.workers, "{} is claimed before its worker is known", job)

    def settled(self, move: Transition, job: NewJob, *, attempts: int, crashes: int) -> None:
        """The store has taken the end of a claim, for the first time; the counters are those of
        before."""
        expect = self._world.expect
        execution = self.executions.get((move.id, move.token))
        how = _how(execution, move)
        attempts += how in CHARGED
        expect(move.attempts == attempts, "{}, which {}, has {} attempts", job, how, move.attempts)
        crashes += how is How.DIED
        expect(move.crashes == crashes, "{}, which {}, has {} crashes", job, how, move.crashes)
        if execution is not None:
            self._ended_so(execution, how, move)
        if move.ending is Ending.COMPLETED:
            self.effects[move.id] += 1
            expect(how is How.RETURNED, "{}, which {}, is completed", job, how)
            expect(self.effects[move.id] == 1, "{} had its effect twice", job)
        if move.ending is Ending.FAILED:
            late = execution is None and self._is_too_late(move, job)
            failed = late or _may_fail(move, execution, how)
            expect(failed, "{}, which {}, failed early", job, how)
            calls = self.hooks[move.id, move.token]
            expected = int(job.name in WITH_HOOK)
            expect(calls == expected, "failed() of {} was called {} times", job, calls)

    def _ended_so(self, execution: Execution, how: How | None, move: Transition) -> None:
        run = execution.run
        execution.settled, execution.has_failed = True, move.ending is Ending.FAILED
        if how is How.OVERTIME:
            over = execution.took >= run.timeout - EPSILON
            self._world.expect(
                over, "{} had {:.1f} s before it was over its time", run.job, execution.took
            )
        if move.ending is Ending.RETRIED:
            self._waits(execution, move)

    def _waits(self, execution: Execution, move: Transition) -> None:
        """No shorter than its backoff says, and not much longer, by the store's clock."""
        world, job, policy = self._world, execution.run.job, execution.run.policy
        delay = backoff_us(policy.backoff, move.attempts, 0.0)
        if move.due_at is None:
            world.expect(not delay, "{} does not wait for its next attempt", job)
            return
        if execution.ended is not None:
            soonest = world.store_moment(execution.ended) + delay
            early = (soonest - move.due_at) / SECOND
            world.expect(early < EPSILON, "{} is tried again {:.1f} s too early", job, early)
        late = (move.due_at - world.store_clock() - delay) / SECOND
        world.expect(late < LATEST_RETRY, "{} is tried again {:.1f} s too late", job, late)

    def _is_too_late(self, move: Transition, job: NewJob) -> bool:
        expires = decode_options(job.options).expires
        return expires is not None and self._world.store_clock() >= expires


def _how(execution: Execution | None, move: Transition) -> How | None:
    """How the run ended by whose claim this was settled; None: it never began."""
    if execution is None:
        return None
    if execution.transacts and move.ending is Ending.COMPLETED:
        return How.RETURNED  # whatever became of it before it heard
    if execution.run.timed_out and move.ending is not Ending.COMPLETED:
        return How.OVERTIME  # given up, whatever became of it then
    return execution.how


def _may_fail(move: Transition, execution: Execution | None, how: How | None) -> bool:
    if execution is None or how is How.DIED:
        return move.crashes >= CRASHES_UNTIL_POISON
    run = execution.run
    policy = run.policy
    over = 0 < policy.tries <= move.attempts
    if how is How.GAVE_UP:
        return True
    if how is How.RELEASED:
        return over
    if policy.max_exceptions is not None and move.exceptions >= policy.max_exceptions:
        return True
    if how is How.OVERTIME and policy.fail_on_timeout:
        return True
    # Both, where it raised after it was told to end.
    return how in (How.OVERTIME, How.RAISED) and (over or isinstance(run.error, Hopeless))
