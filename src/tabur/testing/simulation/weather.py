"""What happens to hosts and to the store, and when."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from tabur.testing.simulation.calls import CUTS

if TYPE_CHECKING:
    from tabur.testing.simulation.host import Host, HostProcess
    from tabur.testing.simulation.world import World

#: How often a fault looks for running jobs to hit, a second apart.
PATIENT = 10


class Weather:
    def __init__(self, world: World) -> None:
        self._world = world
        self._plan = world.plan

    def begin(self) -> None:
        """Put all that will happen into the timeline."""
        plan, chance = self._plan, Random(f"{self._world.seed} weather")
        for times, event in (
            (plan.stops, self._stop),
            (plan.child_stops, self._stop_child),
            (plan.supervisor_stops, self._stop_supervisor),
            (plan.crashes, self._crash),
            (plan.child_crashes, self._crash_child),
            (plan.supervisor_crashes, self._crash_supervisor),
            (plan.cuts, self._cut_off),
            (plan.stalls, self._stall),
            (plan.terminations, self._terminate),
            (plan.jumps, self._jump),
        ):
            for _ in range(times):
                self._later(chance.uniform(1.0, plan.trouble), event, chance)
        self._world.timeline.at(plan.trouble, self._clear_up)

    def _later(self, moment: float, event: Callable[[Random], None], chance: Random) -> None:
        """Once jobs run, if any do soon: what hits nobody finds nothing."""
        world, draws, left = self._world, Random(chance.random()), PATIENT

        def happen() -> None:
            nonlocal left
            left -= 1
            if world.is_calm:
                return
            if left and not world.ledger.running:
                world.timeline.after(1.0, happen)
            else:
                event(draws)

        world.timeline.at(moment, happen)

    def _clear_up(self) -> None:
        """From now on nothing more goes wrong. What does already goes on for its time, and what
        was sent before may still arrive."""
        world = self._world
        world.is_calm = True
        world.note(None, "calm")
        for host in world.hosts:
            if not host.has_new_code:
                host.has_new_code = True
                host.terminate()

    def _stop(self, chance: Random) -> None:
        self.stop(self._any_host(chance), _a_while(chance))

    def stop(self, host: Host, seconds: float) -> None:
        if host.is_up and not host.is_stopped:
            self._world.note(None, f"{host.name} stands still")
            host.stop()
            self._world.timeline.after(seconds, lambda: self.go_on(host))

    def go_on(self, host: Host) -> None:
        if host.is_stopped:
            self._world.note(None, f"{host.name} goes on")
            host.go_on()

    def _stop_child(self, chance: Random) -> None:
        self._hold(self._any_child(chance), _a_while(chance))

    def _stop_supervisor(self, chance: Random) -> None:
        """As Ctrl-Z does: its children go on."""
        self._hold(self._any_host(chance).main, _a_while(chance))

    def _hold(self, process: HostProcess | None, seconds: float) -> None:
        if process is not None:
            self._world.note(process, "stands still")
            process.hold()
            self._world.timeline.after(seconds, process.wake)

    def _crash(self, chance: Random) -> None:
        host = self._any_host(chance)
        if host.is_up:
            self._world.note(None, f"{host.name} crashes")
            host.crash()
            self._world.timeline.after(_a_while(chance), host.boot)

    def _crash_child(self, chance: Random) -> None:
        if (child := self._any_child(chance)) is not None:
            self._world.note(child, "crashes")
            child.exit(-9)

    def _crash_supervisor(self, chance: Random) -> None:
        main = self._any_host(chance).main
        if main is not None:
            self._world.note(main, "crashes")
            main.exit(-9)

    def _cut_off(self, chance: Random) -> None:
        host, how = self._any_host(chance), chance.choice(sorted(CUTS))
        self._world.note(None, f"{host.name} is cut off: {how}")
        self._world.calls.cuts[host] = how
        self._world.timeline.after(_a_while(chance), lambda: self.reach(host))

    def reach(self, host: Host) -> None:
        if self._world.calls.cuts.pop(host, None) is not None:
            self._world.note(None, f"{host.name} reaches the store again")

    def _stall(self, chance: Random) -> None:
        seconds = chance.uniform(5.0, 60.0)
        self._world.note(None, f"the store stands still for {seconds:.0f} s")
        self._world.calls.stall(seconds)

    def _terminate(self, chance: Random) -> None:
        host = self._any_host(chance)
        self._world.note(None, f"{host.name} is told to stop")
        host.has_new_code = True
        host.terminate()
        if chance.random() < 0.2:
            self._world.timeline.after(chance.uniform(0.0, 5.0), host.terminate)

    def _jump(self, chance: Random) -> None:
        host = chance.choice(self._world.hosts)
        host.wall += chance.choice([-600.0, 3600.0])

    def _any_host(self, chance: Random) -> Host:
        """One with running jobs, if there is one."""
        busy = [execution.process.host for execution in self._world.ledger.running.values()]
        return chance.choice(busy or self._world.hosts)

    def _any_child(self, chance: Random) -> HostProcess | None:
        children = [each.process for each in self._world.ledger.running.values()]
        children = children or [child for host in self._world.hosts for child in host.children]
        return chance.choice(children) if children else None


def _a_while(chance: Random) -> float:
    """Shorter than it takes to be lost, about as long, or longer."""
    return chance.choice(
        [chance.uniform(1.0, 18.0), chance.uniform(27.0, 36.0), chance.uniform(20.0, 60.0)]
    )
