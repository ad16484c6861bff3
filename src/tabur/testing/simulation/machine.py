"""The machine that the worker's code runs on: its clocks, threads, processes, and its chance.

The code under simulation is the worker's own, every line of it from the supervisor to the settle.
What it takes from the machine, by the names that stand in `_taken`, it takes from here meanwhile.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from tabur.model.states import Isolation
from tabur.testing.simulation.primitives import (
    ChildProcess,
    Event,
    Pipe,
    Pool,
    Queue,
    StartedThread,
)
from tabur.testing.simulation.slots import SimulatedSlots
from tabur.worker.board import Board
from tabur.worker.running.pump import Pump
from tabur.worker.running.slots import Done
from tabur.worker.supervision.notify import Notifier
from tabur.worker.supervision.upkeep import Upkeep

if TYPE_CHECKING:
    from tabur.testing.simulation.host import Host
    from tabur.testing.simulation.world import World

#: Seconds between two looks of a supervisor and of a child. The real ones look more often; that it
#: must not matter is one more thing to be found out. (Where a supervisor stands still, its children
#: have a second or two to notice.)
LOOK, LOOK_CLOSELY = 1.0, 0.25


class Machine:
    """All hosts of one world, as whatever runs at the moment sees its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.timeline = world.timeline
        self.look = LOOK_CLOSELY if world.plan.supervisor_stops else LOOK
        """Of children."""
        self._chance = Random(f"{world.seed} machine")
        self._made = 0

    @property
    def host(self) -> Host:
        """Of whose code runs now."""
        host: Host = self.timeline.process.host
        return host

    def monotonic(self) -> float:
        return self.timeline.now + self.host.up_for

    def now_us(self) -> int:
        """The host's wall clock, which nobody may rely on."""
        return int((self.timeline.now + self.host.wall) * 1_000_000)

    def sleep(self, seconds: float) -> None:
        self.timeline.thread.sleep(seconds)

    def random(self) -> float:
        return self._chance.random()

    def new_token(self) -> bytes:
        self._made += 1
        return self._made.to_bytes(16, "big")

    def new_worker_id(self, host: str) -> str:
        self._made += 1
        return f"{host}.{self._made}"

    def popen(self, _: object, *, stdin: int, start_new_session: bool) -> ChildProcess:
        return self.host.start_child()

    def kill(self, pid: int, number: int) -> None:
        """Only for looking, as it is used here: a dump of stacks changes nothing."""

    def fdopen(self, _: int, __: str) -> Any:
        """The orders to a child."""
        pipe: Pipe = self.timeline.process.input
        return nullcontext(iter(pipe.readline, b""))

    def print_exc(self) -> None:
        """A child prints the error that ends it, and no such error is expected."""
        self._world.broken(f"a child ended with {sys.exception()!r}")

    def load_app(self, _: str) -> Host:
        return self.host

    def loop_slots(self, size: int, _: object, done: Done) -> SimulatedSlots:
        return SimulatedSlots(self._world, Isolation.LOOP, size, done)

    def thread_slots(self, size: int, _: object, done: Done) -> SimulatedSlots:
        return SimulatedSlots(self._world, Isolation.THREAD, size, done)

    def process_slots(self, size: int, _: str, done: Done, __: object) -> SimulatedSlots:
        return SimulatedSlots(self._world, Isolation.PROCESS, size, done)

    def board(self, path: Any, *, slots: int = 0) -> Board:
        return self.host.board(path, slots=slots)

    def board_above(self, _: Board) -> Board | None:
        return self.host.board_above(self.timeline.process)


@contextmanager
def taken(machine: Machine) -> Iterator[None]:
    """Within it, the worker's modules take from `machine` what they else import."""
    before: list[tuple[Any, str, Any]] = []
    try:
        for module, names in _names(machine).items():
            found = importlib.import_module(f"tabur.worker.{module}")
            for name, instead in names.items():
                before.append((found, name, getattr(found, name)))
                setattr(found, name, instead)
        yield
    finally:
        for found, name, real in before:
            setattr(found, name, real)


def _names(machine: Machine) -> Mapping[str, Mapping[str, Any]]:
    """By module of the worker, what it imports of the machine, and what it gets instead."""
    timeline, look = machine.timeline, machine.look
    threading = SimpleNamespace(
        Event=partial(Event, timeline), Thread=partial(StartedThread, timeline)
    )
    return {
        "board": {"monotonic": machine.monotonic},
        "supervision.supervisor": {
            "LOOK": LOOK,
            "Notifier": partial(Notifier, {}),
            "Upkeep": partial(Upkeep, clock=machine.monotonic),
            "monotonic": machine.monotonic,
            "new_worker_id": machine.new_worker_id,
            "now_us": machine.now_us,
            "random": machine.random,
            "reap_orphans": lambda _: None,
            "sleep": machine.sleep,
            "socket": SimpleNamespace(gethostname=lambda: machine.host.name),
        },
        "supervision.upkeep": {"threading": threading},
        "supervision.children": {
            "Board": machine.board,
            "monotonic": machine.monotonic,
            "new_worker_id": machine.new_worker_id,
            "os": SimpleNamespace(kill=machine.kill),
            "stacks_later": nullcontext,
            "subprocess": SimpleNamespace(Popen=machine.popen, PIPE=-1),
        },
        "child": {
            "LOOK": look,
            "LoopSlots": machine.loop_slots,
            "ProcessSlots": machine.process_slots,
            "Pump": partial(Pump, clock=machine.monotonic, hooks=Pool(timeline)),
            "SimpleQueue": partial(Queue, timeline, least=look),
            "ThreadSlots": machine.thread_slots,
            "board_above": machine.board_above,
            "load_app": machine.load_app,
            "monotonic": machine.monotonic,
            "os": SimpleNamespace(fdopen=machine.fdopen),
            "threading": threading,
            "traceback": SimpleNamespace(print_exc=machine.print_exc),
        },
        "running.pump": {
            "new_token": machine.new_token,
            "sleep": machine.sleep,
            "threading": threading,
        },
        "running.store_time": {"now_us": machine.now_us},
        "running.finish": {"now_us": machine.now_us, "random": machine.random},
        "running.run": {"now_us": machine.now_us},
    }
