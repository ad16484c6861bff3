"""The jobs of a simulation: real ones, declared on real apps."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from tabur.app import Tabur
from tabur.jobs.context import JobContext
from tabur.jobs.job import Job
from tabur.model.clock import SECOND
from tabur.model.records import DispatchOptions, NewJob, encode
from tabur.model.states import Isolation
from tabur.testing.simulation.plan import Plan

if TYPE_CHECKING:
    from tabur.testing.simulation.world import World


class Apps:
    """The same application with old code and with new. Made once, for many worlds."""

    def __init__(self) -> None:
        self.world: World | None = None
        """The one whose turn it is."""
        self.old, self.new = (_declared(version, self) for version in (1, 2))

    def perform(self, ctx: JobContext) -> Any:
        assert self.world is not None
        return self.world.perform(ctx)

    def hook(self, ctx: JobContext) -> None:
        assert self.world is not None
        self.world.hook(ctx)


ISOLATIONS = {
    "Light": Isolation.LOOP,
    "Plain": Isolation.THREAD,
    "Apart": Isolation.PROCESS,
    "Strict": Isolation.PROCESS,
    "Newer": Isolation.LOOP,
}
WITH_HOOK = frozenset({"Light", "Plain", "Apart"})


def new_job(number: int, plan: Plan, chance: Random, now: int) -> NewJob:
    newer = chance.random() < plan.newer
    name = "Newer" if newer else chance.choice(["Light", "Plain", "Apart", "Strict"])
    options = DispatchOptions(
        tries=chance.choice([None, 1, 2, 4, 4]),
        backoff=chance.choice([None, 0.0, 2.0, (1.0, 5.0)]),
        timeout=chance.choice([None, None, 3.0]),
        expires=now + int(chance.uniform(5, 60) * SECOND) if chance.random() < 0.1 else None,
        version=2 if newer else 1,
    )
    delayed = chance.random() < 0.2
    return NewJob(
        id=number.to_bytes(16, "big"),
        name=name,
        queue=chance.choice(plan.options.queues),
        isolation=ISOLATIONS[name],
        payload=encode({"number": number}),
        created_at=now,
        priority=chance.randint(0, 2) if plan.priorities else 0,
        due_at=now + int(chance.uniform(1, 30) * SECOND) if delayed else None,
        options=encode(options),
    )


def _declared(version: int, apps: Apps) -> Tabur:
    app = Tabur("memory")

    class Hooked(Job[int]):
        number: int

        def handle(self, ctx: JobContext) -> Any:
            return apps.perform(ctx)

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            apps.hook(ctx)

    @app.register
    class Light(Hooked):
        async def handle(self, ctx: JobContext) -> Any:
            return apps.perform(ctx)

    @app.register
    class Plain(Hooked, max_exceptions=2):
        pass

    @app.register
    class Apart(Hooked, isolation="process"):
        pass

    @app.register
    class Strict(Job[int], isolation="process", fail_on_timeout=True, timeout=5):
        number: int

        def handle(self, ctx: JobContext) -> Any:
            return apps.perform(ctx)

    @app.register
    class Newer(Job[int], version=version):
        number: int

        async def handle(self, ctx: JobContext) -> Any:
            return apps.perform(ctx)

    return app
