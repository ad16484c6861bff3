"""A process' way to the store, on which calls and answers are lost, and come late."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from tabur.drivers.contract import Exchange
from tabur.errors import StoreUnavailable, StoreUnreachable
from tabur.testing.simulation.calls import Fate
from tabur.testing.simulation.primitives import Event
from tabur.testing.simulation.store import Asked

if TYPE_CHECKING:
    from tabur.testing.simulation.host import HostProcess
    from tabur.testing.simulation.world import World


class Link:
    """A driver, as one process sees it."""

    name = "memory"

    def __init__(self, world: World, process: HostProcess) -> None:
        self._world = world
        self._process = process
        self.claiming: Any = _Role(self, "claiming")
        self.control: Any = _Role(self, "control")
        self.dispatching: Any = _Role(self, "dispatching")
        self.workers: Any = _Role(self, "workers")

    def listen(self) -> Listener:
        listener = Listener(self._world)
        self._world.listeners.append(listener)
        self._process.on_exit.append(listener.close)
        return listener

    def now(self) -> int:
        now: int = self.call("", "now")
        return now

    def check(self) -> Mapping[str, Any]:
        return {"store": "simulated"}

    def call(self, role: str, verb: str, *given: Any, **named: Any) -> Any:
        world = self._world
        world.history.calls += 1
        fate = world.calls.fate(self._process, verb, given)
        asked = Asked(self._process, world.timeline.now, self._process.answered_at)
        do = partial(world.store.perform, asked, role, verb, *given, **named)
        turn = given[0] if verb == "exchange" and given[0].slots else None
        if turn is not None:
            world.promises.asks(turn)
        answer = do() if fate is None else self._endure(fate, verb, do, turn)
        if verb == "signals":
            world.promises.told(self._process, answer)
        return answer

    def _endure(self, fate: Fate, verb: str, do: partial[Any], claim: Exchange | None) -> Any:
        world = self._world
        answers: list[Any] = []

        def arrive() -> None:
            with suppress(Exception):  # the store has told of it
                answers.append(do())

        if fate.arrives is not None:
            world.timeline.after(fate.arrives, arrive)
        world.timeline.thread.sleep(fate.takes)
        self._process.answered_at = world.timeline.now
        if fate.answered and answers:
            return answers[0]
        if answers and claim is not None:
            world.promises.unanswered(claim)
        world.history.unanswered += 1
        world.note(self._process, f"gets no answer to {verb}")
        if fate.arrives is None:
            raise StoreUnreachable("simulated: it never arrived")
        raise StoreUnavailable("simulated: no answer came")


class _Role:
    """One role of a driver; each verb becomes a call."""

    def __init__(self, link: Link, name: str) -> None:
        self._link = link
        self._name = name

    def __getattr__(self, verb: str) -> Any:
        call = partial(self._link.call, self._name, verb)
        setattr(self, verb, call)  # found at once from now on
        return call


class Listener:
    """Hears of some of what changes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._news = Event(world.timeline)

    def wait(self, timeout: float) -> bool:
        heard = self._news.wait(timeout)
        self._news.clear()
        return heard

    def interrupt(self) -> None:
        self._news.set()

    def close(self) -> None:
        if self in self._world.listeners:
            self._world.listeners.remove(self)
