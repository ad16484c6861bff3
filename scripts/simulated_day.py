"""A day of a shop under the decisions of `queue:work --balance`, on a clock of its own; writes
docs/images/balancing-day.svg.

`python scripts/simulated_day.py` writes; with `--check` it only says whether the picture is
current. Jobs flow here: no queue of this day runs anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from bench.report.plot import OURS, RIVAL, Panel, Series, lines
from tabur.model.scaling import Level, Limits
from tabur.worker.balancing.balancer import Balancer
from tabur.worker.balancing.flow import Flow, Meter

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "balancing-day.svg"
HOUR, LOOK = 3600.0, 2.0
#: Looks for each point of the picture: five minutes.
POINT = 150


@dataclass
class Queue:
    """Jobs of `service` seconds, `slots` at once in each process, that arrive at a `rate` a second
    which depends on the time of day."""

    name: str
    rate: Callable[[float], float]
    service: float
    slots: int
    processes: int = 1
    waiting: float = 0.0
    done: float = 0.0
    running: float = 0.0
    flow: Flow = field(default_factory=Flow)

    def work(self, now: float, span: float) -> None:
        self.waiting += self.rate(now) * span
        taken = min(self.waiting, self.processes * self.slots / self.service * span)
        self.waiting -= taken
        self.done += taken
        self.running = taken / span * self.service

    def level(self, now: float) -> Level:
        done = int(self.done)
        meter = Meter(done + ceil(self.running), done, done * self.service)
        self.flow.look({self.name: meter}, int(self.waiting), now=now)
        return Level(
            self.name,
            int(self.waiting),
            arrivals=self.flow.arrivals,
            service=self.flow.service,
            running=self.flow.running,
            slots=self.slots,
        )


@dataclass
class Fleet:
    """Queues that share processes; those that are told to end do so within one look."""

    queues: list[Queue]
    balancer: Balancer

    def look(self, now: float) -> int:
        """One look and what follows from it. Answers how many queues were changed."""
        for queue in self.queues:
            queue.work(now, LOOK)
        levels = [queue.level(now) for queue in self.queues]
        running = {queue.name: queue.processes for queue in self.queues}
        plan = self.balancer.decide(levels, running, now=now)
        after = {change.queue: change.after for change in plan.changes}
        for queue in self.queues:
            queue.processes = after.get(queue.name, queue.processes)
        return len(plan.changes)


def mail(now: float) -> float:
    """Few at night, more by day; a newsletter at 9, and a sale at 18."""
    hour = now / HOUR
    if 9 <= hour < 9.25:
        return 220.0
    if 18 <= hour < 20:
        return 120.0
    return 60.0 if 7 <= hour < 22 else 5.0


def reports(now: float) -> float:
    """The reports of all customers at 2; some by day."""
    hour = now / HOUR
    if 2 <= hour < 2 + 1 / 60:
        return 10.0
    return 1 / 120 if 8 <= hour < 18 else 0.0


def day() -> tuple[str, float]:
    """The picture of the day, and how many hours processes ran in it, added up."""
    queues = [
        Queue("mail", mail, service=0.4, slots=10),
        Queue("reports", reports, service=60.0, slots=2),
    ]
    limits = {queue.name: Limits(1, 10) for queue in queues}
    fleet = Fleet(queues, Balancer(limits, total=10, target=60.0))
    waiting: dict[str, list[float]] = {queue.name: [] for queue in queues}
    processes: dict[str, list[float]] = {queue.name: [] for queue in queues}
    spent = 0.0
    for n in range(int(24 * HOUR / LOOK)):
        fleet.look(n * LOOK)
        spent += sum(queue.processes for queue in queues) * LOOK / HOUR
        for queue in queues:
            if n % POINT == 0:
                waiting[queue.name].append(0.0)
                processes[queue.name].append(0.0)
            waiting[queue.name][-1] = max(waiting[queue.name][-1], queue.waiting)
            processes[queue.name][-1] = max(processes[queue.name][-1], queue.processes)
    panels = [
        Panel(f"{queue.name}: jobs that wait", [Series("", waiting[queue.name], kind, area=True)])
        for queue, kind in zip(queues, (OURS, RIVAL), strict=True)
    ]
    panels.append(
        Panel(
            "Processes: mail blue, reports grey",
            [
                Series("mail", processes["mail"], OURS),
                Series("reports", processes["reports"], RIVAL),
            ],
        )
    )
    hours = [f"{hour}:00" for hour in range(0, 25, 3)]
    return lines("A day of two queues, ten processes at most", panels, ticks=hours), spent


if __name__ == "__main__":
    picture, spent = day()
    if "--check" in sys.argv:
        current = PICTURE.read_text(encoding="utf-8") == picture
        sys.exit(0 if current else f"{PICTURE.name} is not current: run {sys.argv[0]}")
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"Processes ran {spent:.0f} hours, of {24 * 10} that ten would have run.")
