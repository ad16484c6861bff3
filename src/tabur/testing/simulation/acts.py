"""What each attempt of a job does: drawn from the seed, and done by whatever thread runs it."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from tabur.drivers.contract import Exchange
from tabur.errors import ClaimLost
from tabur.jobs.context import JobContext
from tabur.jobs.settling import own_settle_of
from tabur.model.decide import decide
from tabur.model.outcome import Ended, Outcome, Settled
from tabur.model.retry import Policy
from tabur.model.states import Isolation
from tabur.testing.simulation.plan import Plan

if TYPE_CHECKING:
    from tabur.testing.simulation.executions import Execution
    from tabur.testing.simulation.world import World

#: Seconds between two steps of a job: it reports, and looks whether it is called back.
STEP = 1.0


class Mistake(Exception):
    """An error of a job."""


class Hopeless(Mistake):
    """One that trying again cannot mend."""

    permanent = True


class Interrupted(BaseException):
    """Raised from outside in a job that is to end."""


class ProcessDied(BaseException):
    """The process of a job ends under it."""


class Act(msgspec.Struct, frozen=True):
    """What one attempt does."""

    kind: str
    """complete, raise, despair, release, fail, transact, hang, crash or freeze."""
    seconds: float = 0.0
    deaf: bool = False
    """It does not end when it is told to."""
    reports: bool = False
    looks: bool = False
    """It ends early when it is called back, or its worker stops."""


class Play:
    """Who tells each attempt what to do."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self._seed = seed
        self._plan = plan
        self._performed: dict[int, int] = {}

    def next_act(self, number: int, *, calm: bool) -> Act:
        """Of the next attempt of this job, wherever it runs. `calm`: nothing that takes long or
        takes others along."""
        attempt = self._performed[number] = self._performed.get(number, 0) + 1
        chance = Random(f"{self._seed} {number} {attempt}")
        if self.is_poison(number):
            return Act("crash", chance.uniform(0.0, 1.0))
        kind, seconds = "complete", chance.expovariate(1 / self._plan.seconds)
        if chance.random() < self._plan.long:
            seconds = chance.uniform(20.0, 80.0)
        if chance.random() < self._plan.wild:
            kind = chance.choice(_CALM_KINDS if calm else _KINDS)
        return Act(
            kind,
            seconds=min(seconds, 2.0) if calm else seconds,
            deaf=chance.random() < 0.4,
            reports=chance.random() < 0.6,
            looks=chance.random() < 0.5,
        )

    def is_poison(self, number: int) -> bool:
        return self._plan.wild > 0.4 and number % 17 == 9


_CALM_KINDS = ["raise", "raise", "despair", "release", "fail", "transact"]
_KINDS = [*_CALM_KINDS, "transact", *["hang"] * 4, *["crash"] * 2, *["freeze"] * 2]


def perform(world: World, execution: Execution, act: Act) -> Any:
    """One attempt, in its thread. Answers the job's result."""
    done = _steps(world, execution.run.ctx, act)
    _END[act.kind](world, execution, act)
    return done if execution.run.ctx.own_settle is None else None


def _steps(world: World, ctx: JobContext, act: Act) -> int:
    left, done = act.seconds, 0
    while left > 0:
        step = min(left, STEP)
        _wait(world, step, deaf=act.deaf)
        left -= step
        done += 1
        if act.reports:
            ctx.progress(done)
        if act.looks:
            ctx.check_cancelled()
            if ctx.stopping:
                ctx.release()
    return done


def _complete(_: World, __: Execution, ___: Act) -> None:
    pass


def _raise(_: World, __: Execution, act: Act) -> None:
    raise (Hopeless if act.kind == "despair" else Mistake)("as its seed says")


def _release(_: World, execution: Execution, __: Act) -> None:
    execution.run.ctx.release(2.0)


def _fail(_: World, execution: Execution, __: Act) -> None:
    execution.run.ctx.fail("as its seed says")


def _hang(world: World, _: Execution, act: Act) -> None:
    _wait(world, None, deaf=act.deaf)


def _crash(world: World, execution: Execution, _: Act) -> None:
    if execution.isolation is Isolation.PROCESS:
        raise ProcessDied
    execution.process.exit(-11)
    world.timeline.thread.park()


def _freeze(world: World, execution: Execution, _: Act) -> None:
    """A call into C that lets no other thread run. Alone in its process, it only hangs."""
    if execution.isolation is not Isolation.PROCESS:
        world.ledger.froze(execution)
    _wait(world, None, deaf=False)


def _transact(world: World, execution: Execution, _: Act) -> None:
    """As `ctx.transaction()` ends: with the job's settle, in the transaction of what it wrote."""
    execution.transacts = True
    ctx, process = execution.run.ctx, execution.process
    state, now = own_settle_of(ctx), world.machine.now_us()
    outcome = Outcome(Ended.COMPLETED, now, now, settled=True)
    move = decide(ctx.job, Policy(), outcome, worker=process.name, now=now, random=0.0)
    turn = Exchange(process.name, settle=[move])
    (answer,) = process.link.claiming.exchange(turn).settled
    if answer is not Settled.DONE:
        state.lost = True
        raise ClaimLost(ctx.job_id)
    state.completed = outcome


_END: dict[str, Callable[[World, Execution, Act], None]] = {
    "complete": _complete,
    "raise": _raise,
    "despair": _raise,
    "release": _release,
    "fail": _fail,
    "transact": _transact,
    "hang": _hang,
    "crash": _crash,
    "freeze": _freeze,
}


def _wait(world: World, seconds: float | None, *, deaf: bool) -> None:
    timeline = world.timeline
    until = inf if seconds is None else timeline.now + seconds
    while timeline.now < until:
        try:
            timeline.thread.park(None if until == inf else until - timeline.now)
        except Interrupted:
            if not deaf:
                raise
