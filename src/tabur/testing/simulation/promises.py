"""What holds whatever goes wrong: rescue is never early, a claim is asked for once, pauses are
obeyed. (What becomes of jobs is looked at by the ledger, and by the model beside the store.)"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tabur.drivers.contract import Exchange
from tabur.model.records import ALL_QUEUES, ClaimedJob, NewJob, Signals
from tabur.testing.simulation.executions import FINDS_OUT
from tabur.worker.supervision.rescue import LOOKS

if TYPE_CHECKING:
    from tabur.testing.simulation.host import HostProcess
    from tabur.testing.simulation.store import Asked
    from tabur.testing.simulation.world import World

#: Seconds in which a worker obeys the signals that its supervisor has read.
OBEYS_IN = 3.0
#: Seconds in which a supervisor that is well reads what was told to all.
HEARS_IN = 8.5


class Promises:
    def __init__(self, world: World) -> None:
        self._world = world
        self._beaten: dict[str, float] = {}
        self._registered_again: set[str] = set()
        self._looks: dict[str, Counter[HostProcess]] = {}
        """How often each observer has seen a worker since its last beat."""
        self._told: dict[HostProcess, list[tuple[float, Signals]]] = {}
        """What each supervisor has read lately, and when: the first of it is what it obeys."""
        self.first_told: dict[HostProcess, float] = {}
        self._paused: dict[str, float] = {}
        self._working: set[str] = set()
        """Workers that have asked for a claim."""
        self._tokens: set[bytes] = set()
        self._unanswered: set[bytes] = set()

    # rescue

    def registered(self, worker: str) -> None:
        """What arrives a second time is no sign of life, and hides one: the counter begins anew."""
        if worker in self._beaten:
            self._registered_again.add(worker)
        else:
            self.beaten(worker)

    def beaten(self, worker: str) -> None:
        self._beaten[worker] = self._world.timeline.now
        self._looks.pop(worker, None)

    def looks(self, observer: HostProcess, workers: Iterable[str]) -> None:
        """It sees how often each has beaten."""
        for worker in workers:
            self._looks.setdefault(worker, Counter())[observer] += 1

    def still_beats(self, process: HostProcess) -> None:
        """Who cannot beat ends what it runs, before others take it: looked at now and then, of a
        worker that has begun to work."""
        now = self._world.timeline.now
        if process.name not in self._working or process.is_stopped:
            return
        if now - process.standstill.awake_since < FINDS_OUT:
            return
        silent, lost = now - self._beaten[process.name], self._world.plan.options.lost
        ends = silent < lost + 1.0
        self._world.expect(ends, "{} goes on, {:.1f} s after its last beat", process.name, silent)

    def removes(self, asked: Asked, worker: str) -> None:
        """By its own supervisor, when nothing of it runs; by another, when it was silent while the
        store was not."""
        self._may_take(asked, worker)

    def releases(self, asked: Asked, worker: str, blamed: Sequence[NewJob]) -> None:
        """`blamed`: the jobs whose crashes are counted."""
        process = self._world.workers.get(worker)
        if process is not None and asked.by is process.supervisor:
            again = worker in self._registered_again
            just = not blamed or not process.has_ended_well or again
            self._world.expect(just, "{} is said to have crashed, with {}", worker, blamed)
            if process.is_killed:
                just = all(map(self._world.ledger.was_over_its_time, blamed))
                self._world.expect(just, "{} is killed, and blamed are {}", worker, blamed)
        if worker in self._world.store.beats:
            self._may_take(asked, worker)

    def _may_take(self, asked: Asked, worker: str) -> None:
        world = self._world
        process = world.workers[worker]
        if asked.by is process.supervisor:
            world.expect(not process.lives, "{} is released while it lives", worker)
            return
        since = self._beaten[worker]
        silent, lost = world.timeline.now - since, world.plan.options.lost
        if not asked.by.standstill.seconds:  # it has seen that the store was
            silent -= world.calls.stalled(since, but=lost / LOOKS)
        if worker in self._registered_again:
            return
        world.expect(silent >= lost, "{} is found lost after {:.1f} s", worker, silent)
        looks = self._looks[worker][asked.by]
        world.expect(looks >= LOOKS, "{} is found lost after {} looks", worker, looks)

    # claims

    def asks(self, turn: Exchange) -> None:
        """A worker sends a claim."""
        expect = self._world.expect
        self._working.add(turn.worker)
        expect(turn.token not in self._tokens, "claim {} is asked for twice", turn.token)
        self._tokens.add(turn.token)
        left = [
            job.new
            for job in self._world.store.model.held_by(turn.worker)
            if job.token in self._unanswered
        ]
        expect(not left, "{} of an unanswered claim is left when the next is made", left)

    def unanswered(self, turn: Exchange) -> None:
        """A worker hears that its claim has failed, and the store has done it."""
        self._unanswered.add(turn.token)

    # pauses

    def told(self, process: HostProcess, signals: Signals) -> None:
        """A supervisor has read them."""
        now, told = self._world.timeline.now, self._told.setdefault(process, [])
        self.first_told.setdefault(process, now)
        told.append((now, signals))
        while len(told) > 1 and told[1][0] <= now - OBEYS_IN:
            del told[0]

    def paused(self, queue: str) -> None:
        self._paused.setdefault(queue, self._world.timeline.now)

    def resumed(self, queue: str) -> None:
        self._paused.pop(queue, None)

    def claimed(self, asked: Asked, job: ClaimedJob) -> None:
        child = asked.by
        supervisor = child.supervisor
        if supervisor is None or not supervisor.lives or supervisor.is_stopped:
            return  # it ends soon by itself
        awake_since = max(child.standstill.awake_since, supervisor.standstill.awake_since)
        awake = asked.at - awake_since
        if awake < OBEYS_IN or asked.answered_at == asked.at:
            return  # it stood still, or waited for the store, since it had decided
        told = self._told[supervisor]
        knows = told[0][0] <= asked.at - OBEYS_IN and all(_pauses(s, job.queue) for _, s in told)
        self._world.expect(not knows, "{} is claimed, though its worker knows of the pause", job)
        since = self._paused.get(job.queue)
        if self._world.is_calm and since is not None:
            waited = max(awake_since, child.answered_at, supervisor.answered_at)
            late = asked.at - max(since, waited)
            self._world.expect(late < HEARS_IN, "{} is claimed {:.1f} s into a pause", job, late)


def _pauses(signals: Signals, queue: str) -> bool:
    paused = {pause.queue for pause in signals.pauses}
    return signals.hold is not None or not paused.isdisjoint({queue, ALL_QUEUES})
