"""H1: jobs that hang."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from chaos import ledger
from chaos.checks import check_killed
from chaos.counting import SECOND, Count
from chaos.feeding import Brought
from chaos.ledger import ACCEPTED, OVERLAPPED
from chaos.run import Run
from chaos.runs import RunOf
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import STORES, Store
from chaos.workers import Stuck, Workers
from tabur.model.outcome import Ending
from tabur.model.states import Isolation

#: Seconds after its timeout.
DEAD, SETTLED, REPLACED, FROZEN = 2.0, 2.0, 2.0, 10.0
ALONE, SHARED, STIFF = "alone", "shared", "stiff"
QUEUES = (ALONE, SHARED, STIFF)
_KIND = {
    Isolation.PROCESS: "hung_alone",
    Isolation.THREAD: "hung_thread",
    Isolation.LOOP: "hung_loop",
}


class _Way(NamedTuple):
    """`how` is one of chaos/hung.py."""

    queue: str
    isolation: Isolation
    how: str


def _ways(turn: int) -> tuple[list[_Way], list[_Way]]:
    """Those of one turn; the second lot is brought when the first hangs. What stops a whole process
    or its event loop comes one at a time: beside it no other would begin."""
    first = [
        *(_Way(ALONE, Isolation.PROCESS, how) for how in ("sleeps", "freezes", "ignores_term")),
        *(_Way(ALONE, Isolation.PROCESS, how) for how in ("swallows", "reads")),
        *(_Way(SHARED, Isolation.THREAD, how) for how in ("sleeps", "swallows", "reads")),
        *(_Way(SHARED, Isolation.LOOP, how) for how in ("waits", "swallows")),
        _Way(STIFF, (Isolation.THREAD, Isolation.LOOP)[turn % 2], "freezes"),
    ]
    second = [
        _Way(SHARED, Isolation.LOOP, ("sleeps", "reads")[turn % 2]),
        _Way(SHARED, Isolation.LOOP, "ends"),  # if it is not held up by the one before
    ]
    return first, second


@dataclass(frozen=True)
class H1(OnEachStore):
    """On three queues with a worker each, so that each kind is seen for itself: jobs in processes
    of their own, jobs that share a process, jobs that freeze the process they share."""

    id: ClassVar[str] = "H1"
    title: ClassVar[str] = "jobs that hang"

    rate: float = 150.0
    ms: int = 50  # longest run of a neighbour
    hung: int = 10  # of each way
    every: float = 12.0  # seconds between two of one way
    timeout: float = 5.0
    grace: float = 5.0
    processes: int = 2  # of each worker

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, rate=60.0, hung=1, every=0.0, timeout=0.6, grace=0.5, processes=1)

    def lasting(self, minutes: float) -> Self:
        return replace(self, hung=max(1, int(minutes * 60 / self.every)))

    def load(self, store: Store) -> str:
        ways = sum(map(len, _ways(0)))
        return (
            f"{self.hung} turns of {ways} ways to hang, with a timeout of {self.timeout:g} s, "
            f"beside {self.rate:g} jobs/s of 1 to {self.ms} ms"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        environment = {**self.environment, "CHAOS_TIMEOUT": str(self.timeout)}
        with Run(place, store.url, environment=environment, watched=True) as run:
            hosts = {queue: self._host(run, queue) for queue in QUEUES}
            run.at_work(*hosts.values())
            feed = run.feed(rate=self.rate, ms=self.ms, queues=QUEUES)
            hung: dict[int, _Hung] = {}
            for turn in range(self.hung):
                for lot in _ways(turn + STORES.index(store.name)):
                    hung |= self._bring(run, lot)
                time.sleep(self.every)
            with suppress(Stuck):  # what never comes is for the checks to tell
                run.until(lambda: _ended(run) >= {*hung}, "the second attempts of what had hung")
            feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = check_killed(report, run, apart=hung)
            self._check_hung(report, run, count, hung)
            for queue in QUEUES:
                self._check_times(report, run, count, _of(hung, queue), hosts[queue])

    def _host(self, run: Run, queue: str) -> Workers:
        return run.host(
            processes=self.processes,
            slots=20,
            app="chaos.hung:jobs",
            options=(f"--queue={queue}", f"--grace={self.grace}"),
        )

    def _bring(self, run: Run, lot: Sequence[_Way]) -> dict[int, _Hung]:
        """In one transaction: who claims the first claims the others too. Returns when those that
        share a process hang."""
        numbers = run.numbers(len(lot))
        ids = run.bring(
            Brought(_KIND[way.isolation], way.isolation, number, {"how": way.how}, way.queue)
            for number, way in zip(numbers, lot, strict=True)
        )
        hung = {number: _Hung(ids[number], way) for number, way in zip(numbers, lot, strict=True)}
        hanging = {n for n, each in hung.items() if each.way.queue != ALONE and each.hangs}
        run.until(lambda: _started(run) >= hanging, "a lot to hang")
        return hung

    def _check_hung(
        self, report: Report, run: Run, count: Count, hung: Mapping[int, _Hung]
    ) -> None:
        """Each hung once, and ended at its second attempt, which began when nothing of the first
        was left."""
        runs = {number: count.runs.get(number, []) for number in hung}
        report.none("hung ones that did not end", sum(not _last_ended(r) for r in runs.values()))
        report.none(
            "hung ones of which an attempt was charged that never began",
            sum(bool(those) and those[0].attempt != 1 for those in runs.values()),
        )
        report.none(
            "hung ones that took another attempt than they need",
            sum(bool(r) and r[-1].attempt != 1 + hung[n].hangs for n, r in runs.items()),
        )
        overlaps = [each for each in count.effects if each.what == OVERLAPPED]
        report.none("ran again while the run before still ran", len(overlaps))
        report.none("neighbours on [alone] that ran again", len(_disturbed(run, count, hung)))
        unreasoned = [
            number
            for number, each in _of(hung, STIFF).items()
            if not any(
                attempt.ending == Ending.CRASHED and attempt.error is not None
                for attempt in run.driver.inspection.attempts(each.job)
            )
        ]
        report.none("frozen ones without a crash and its reason", len(unreasoned))

    def _check_times(
        self, report: Report, run: Run, count: Count, hung: Mapping[int, _Hung], host: Workers
    ) -> None:
        """`hung`: those of one queue."""
        settled = {
            (each.job, each.token): each.answered
            for each in ledger.moves(run.place)
            if each.what == ACCEPTED
        }
        firsts = {pid: turns[0].at for pid, turns in _turns_of(run, host).items() if turns}
        waits: dict[str, list[float]] = {}
        cut_off = 0
        for number, each in hung.items():
            runs = count.runs.get(number)
            if not runs or not each.hangs:
                continue
            first = runs[0]
            over = first.started + int(self.timeout * SECOND)
            moments = self._moments(each, first, run.gone, settled, firsts)
            in_time = over + int(SETTLED * self.generosity * SECOND)
            if moments.get("settled", 0) is None and run.gone.get(first.pid, in_time) < in_time:
                cut_off += 1  # a neighbour that hangs in the event loop ended their process
                continue
            for what, at in moments.items():
                wait = float("inf") if at is None else max(0.0, (at - over) / SECOND)
                waits.setdefault(what, []).append(wait)
        queue = next(iter(hung.values())).way.queue
        for what, those in waits.items():
            limit = {"dead": DEAD, "settled": SETTLED, "slot replaced": REPLACED}[what]
            limit = FROZEN if queue == STIFF else limit
            report.at_most(
                f"[{queue}] {what} after its timeout (s)", max(those), limit * self.generosity
            )
            report.times(f"[{queue}] {what} after its timeout", those)
        report.at_most(f"[{queue}] cut off before they could settle", cut_off, len(hung) // 2)
        if queue == SHARED and waits:
            report.recovered("settled after its timeout", waits["settled"])

    def _moments(
        self,
        hung: _Hung,
        first: RunOf,
        gone: Mapping[int, int],
        settled: Mapping[tuple[bytes, bytes], int],
        firsts: Mapping[int, int],
    ) -> dict[str, int | None]:
        """When (monotonic nanoseconds) its process was dead, its end in the store, and another
        process in place of one that it keeps from working."""
        if hung.way.queue == ALONE:
            return {"dead": gone.get(first.pid)}
        later = [at for pid, at in firsts.items() if pid != first.pid and at > first.started]
        replaced = min(later, default=None)
        if hung.way.queue == STIFF:
            return {"dead": gone.get(first.pid), "slot replaced": replaced}
        moments = {"settled": settled.get((first.job, first.token))}
        # Its slot is free again where the run has left it.
        return moments if first.raised else {**moments, "slot replaced": replaced}


@dataclass(frozen=True)
class _Hung:
    job: bytes
    way: _Way

    @property
    def hangs(self) -> bool:
        return self.way.how != "ends"


def _of(hung: Mapping[int, _Hung], queue: str) -> dict[int, _Hung]:
    return {number: each for number, each in hung.items() if each.way.queue == queue}


def _last_ended(runs: list[RunOf]) -> bool:
    return bool(runs) and runs[-1].ended is not None


def _ended(run: Run) -> set[int]:
    return {each.number for each in ledger.effects(run.place) if each.what == ledger.ENDED}


def _started(run: Run) -> set[int]:
    return {each.number for each in ledger.effects(run.place) if each.what == ledger.STARTED}


def _turns_of(run: Run, host: Workers) -> dict[int, list[ledger.Turn]]:
    processes = ledger.processes(run.place)
    return {
        pid: turns
        for pid, turns in ledger.turns(run.place).items()
        if pid in processes and processes[pid].host == host.host
    }


def _disturbed(run: Run, count: Count, hung: Mapping[int, _Hung]) -> list[int]:
    """Neighbours of jobs in processes of their own: they ran where no process may die."""
    processes = ledger.processes(run.place)
    return [
        number
        for number in {*count.repeated} - {*hung}
        if processes[count.runs[number][0].pid].host == run.workers[0].host
    ]
