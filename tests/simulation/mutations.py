"""What the simulation is to find: the worker and the store, each with one thing broken."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

#: Seeds: what only a few in a thousand find.
RARE = 3_000


@dataclass(frozen=True)
class Mutation:
    """`before` stands in the source of `where` (a module and a function of it), and becomes
    `after`."""

    what: str
    where: str
    before: str
    after: str
    within: int = 200
    """How many seeds it may take to be found."""

    @contextmanager
    def made(self) -> Iterator[None]:
        module_name, _, path = self.where.partition(":")
        module = importlib.import_module(module_name)
        *owners, name = path.split(".")
        owner: Any = module
        for each in owners:
            owner = getattr(owner, each)
        real = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(real))
        assert source.count(self.before) == 1, f"{self.before!r} is not in {self.where} once"
        made: dict[str, Any] = {}
        exec(source.replace(self.before, self.after), real.__globals__, made)  # noqa: S102  # our own
        setattr(owner, name, made[name])
        try:
            yield
        finally:
            setattr(owner, name, real)


MUTATIONS = [
    Mutation(
        "a settle is not held against its token",
        "tabur.drivers.memory.claiming:MemoryClaiming._settle",
        "not has_token(entry, move.token)",
        "entry.claim is None",
    ),
    Mutation(
        "progress is not held against its token",
        "tabur.drivers.memory.store:MemoryStore.held",
        "has_token(entry, token)",
        "entry.claim",
        within=RARE,
    ),
    Mutation(
        "what is released goes to the end of its queue",
        "tabur.drivers.memory.store:MemoryStore.release",
        "self._push(entry)",
        "self._seq += 1; entry.seq = self._seq; self._push(entry)",
    ),
    Mutation(
        "a claim whose answer was lost is not released",
        "tabur.worker.running.pump:Pump._ask",
        "claiming.release_token(self._lost_token)",
        "pass",
    ),
    Mutation(
        "a lost claim is forgotten where its release gets no answer",
        "tabur.worker.running.pump:Pump._ask",
        "claiming.release_token(self._lost_token)",
        "token, self._lost_token = self._lost_token, None; claiming.release_token(token)",
    ),
    Mutation(
        "a repeated claim bears the token of the first",
        "tabur.worker.running.pump:Pump._once_more",
        'new_token() if slots else b""',
        "turn.token",
    ),
    Mutation(
        "a repeated claim takes from queues that were paused meanwhile",
        "tabur.worker.running.pump:Pump._once_more",
        "queues = self._queues()",
        "queues = turn.queues",
        within=RARE,
    ),
    Mutation(
        "what was claimed long ago is begun",
        "tabur.worker.running.pump:Pump._ask",
        "turn.slots and self._clock() - asked > self._options.adrift",
        "False",
        within=RARE,
    ),
    Mutation(
        "ends are forgotten where the store does not answer",
        "tabur.worker.running.pump:Pump.step",
        "return self._retry",
        "self._asking = None; return self._retry",
    ),
    Mutation(
        "nobody looks for claims that the store counts as ours",
        "tabur.worker.running.unheard:Unheard.look",
        "now < self._last + EVERY",
        "True",
    ),
    Mutation(
        "a job whose failed() runs is taken for a claim nobody knows",
        "tabur.worker.running.pump:Pump._tokens",
        " | self.hooks.tokens",
        "",
    ),
    Mutation(
        "an ended job has a deadline until it is settled",
        "tabur.worker.running.pump:Pump.done",
        "run.deadline = None",
        "pass",
    ),
    Mutation(
        "failed() is not called",
        "tabur.worker.running.pump:Pump._conclude",
        "move.ending is Ending.FAILED",
        "False",
    ),
    Mutation(
        "a retry is due by the host's clock",
        "tabur.worker.running.store_time:StoreTime.__call__",
        "self._us(self._clock()) + self._ahead",
        "now_us()",
    ),
    Mutation(
        "a job that was handed back has spent an attempt",
        "tabur.worker.running.finish:decide",
        "None, job.attempts",
        "None, attempts",
    ),
    Mutation(
        "a crash spends an attempt",
        "tabur.worker.running.finish:decide",
        "attempts, crashes = job.attempts, ",
        "attempts, crashes = attempts, ",
    ),
    Mutation(
        "poison is never told",
        "tabur.worker.running.finish:decide",
        "crashes >= CRASHES_UNTIL_POISON",
        "False",
    ),
    Mutation(
        "tries are one more",
        "tabur.model.decide:_again",
        "attempts < policy.tries",
        "attempts <= policy.tries",
    ),
    Mutation(
        "what is cut off is taken for over its time",
        "tabur.worker.running.run:interrupted",
        "run.cut_off and not run.timed_out",
        "False",
    ),
    Mutation(
        "a worker that has just beaten is found lost",
        "tabur.worker.supervision.upkeep:Upkeep._rescue",
        "self._driver.workers.remove(worker, beats=beats)",
        "self._driver.workers.remove(worker)",
        within=RARE,
    ),
    Mutation(
        "a worker is lost by the clock of the day",
        "tabur.worker.supervision.rescue:Observations.lost",
        "asked = self._clock()",
        "from tabur.worker.running import run; asked = run.now_us() / 1e6",
    ),
    Mutation(
        "what an observer has not seen counts as if it had",
        "tabur.worker.supervision.rescue:Observations.lost",
        "max(0.0, answered - self._answered - self._lost_after / LOOKS)",
        "0.0",
    ),
    Mutation(
        "a counter is as old as the question for it",
        "tabur.worker.supervision.rescue:Observations.lost",
        "answered = self._clock()",
        "answered = asked",
        within=RARE,
    ),
    Mutation(
        "claims of workers that nobody knows are left",
        "tabur.worker.supervision.rescue:Observations.lost",
        "self._looks % LOOKS_FOR_STRANGERS == 0 or self._strangers",
        "False",
    ),
    Mutation(
        "the release of a dead child is forgotten where the store does not answer",
        "tabur.worker.supervision.upkeep:Upkeep._do_what_is_owed",
        "self._duties.appendleft(duty)",
        "pass",
    ),
    Mutation(
        "a worker that lost the store goes on",
        "tabur.worker.supervision.supervisor:Supervisor._drift",
        "child.kill_by is None",
        "False",
    ),
    Mutation(
        "a worker that others found lost goes on",
        "tabur.worker.supervision.supervisor:Supervisor._judged",
        "child.worker in self._upkeep.expelled",
        "False",
        within=RARE,
    ),
    Mutation(
        "a child claims before it is registered",
        "tabur.worker.supervision.supervisor:Supervisor._may_work",
        "not registration.done",
        "False",
    ),
    Mutation(
        "a child that ended as it should is said to have crashed",
        "tabur.worker.supervision.supervisor:Supervisor._ended",
        "child.board.seen().doing is not Doing.ENDED",
        "True",
    ),
    Mutation(
        "a dead child is not replaced",
        "tabur.worker.supervision.supervisor:Supervisor._watch",
        "group.children.remove(child)",
        "pass",
    ),
    Mutation(
        "a frozen child is left",
        "tabur.worker.supervision.supervisor:judged",
        "board.looked_at and now - looked_at > FROZEN",
        "False",
    ),
    Mutation(
        "neighbours are blamed for a frozen child",
        "tabur.worker.supervision.supervisor:judged",
        "blamed=late & shared()",
        "blamed=None",
    ),
    Mutation(
        "a host that stood still takes its children for frozen",
        "tabur.worker.supervision.supervisor:judged",
        "max(board.looked_at, awake_since)",
        "board.looked_at",
        within=RARE,
    ),
    Mutation(
        "a child that waits for its store without end is left",
        "tabur.worker.supervision.supervisor:judged",
        "now - max(answered, awake_since) > deaf",
        "False",
    ),
    Mutation(
        "a child whose first turn hangs is left",
        "tabur.worker.supervision.supervisor:judged",
        "board.turned_at or board.since or now",
        "board.turned_at or now",
        within=RARE,
    ),
    Mutation(
        "a child goes on without its supervisor",
        "tabur.worker.child:Child._listen",
        'self._stop("supervisor gone", grace=left)',
        "pass",
        within=RARE,
    ),
    Mutation(
        "a child goes on while its supervisor stands still",
        "tabur.worker.child:Child._look_up",
        "was and self._unbeaten",
        "False",
    ),
    Mutation(
        "what hangs is tried again while it hangs",
        "tabur.worker.child:Child._give_up",
        "retry_after=again",
        "retry_after=0",
        within=RARE,
    ),
    Mutation(
        "what hangs is left",
        "tabur.worker.child:Child._end_overdue",
        "self._give_up(run)",
        "pass",
    ),
    Mutation(
        "pauses are not passed on",
        "tabur.worker.supervision.supervisor:Supervisor._obey_signals",
        "tuple(sorted({pause.queue for pause in pauses}))",
        "()",
    ),
    Mutation(
        "a restart is not obeyed",
        "tabur.worker.supervision.supervisor:Supervisor._obey_signals",
        "signals.restarts != self._restarts",
        "False",
    ),
    Mutation(
        "a job of newer code is refused at once",
        "tabur.worker.running.unknown:Patience.judged",
        "waited >= self._seconds",
        "True",
    ),
]
