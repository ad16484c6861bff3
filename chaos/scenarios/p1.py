"""P1: jobs that end the process they run in."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from chaos.checks import check_killed
from chaos.feeding import Brought
from chaos.run import Run
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from tabur.model.outcome import Ending
from tabur.model.records import Attempt
from tabur.model.states import Isolation, State


class _Poison(NamedTuple):
    """`how` is one of chaos/poison.py; `says` what its error must tell; `kills` its process."""

    name: str
    isolation: Isolation
    how: str
    says: str
    kills: bool

    @property
    def shares(self) -> bool:
        """It begins in a process that others share, and may once be the victim of one of them."""
        return self.isolation is not Isolation.PROCESS

    @property
    def histories(self) -> list[list[str]]:
        """What may have become of its attempts, one after the other."""
        if self.kills:
            return [[*[Ending.CRASHED] * (CRASHES - 1), Ending.FAILED]]
        unharmed: list[str] = [Ending.FAILED]
        return [unharmed, [Ending.CRASHED, Ending.FAILED]] if self.shares else [unharmed]


#: Crashes after which a job is not tried again, as promised.
CRASHES = 3
_STATE = "poison that has not failed"
_HISTORY = "poison with another history than it should have"
_RUNS = "poison with a crash or an end that was no run of it"
_REASON = "poison that failed without its reason"
_KIND = {
    "poison_alone": Isolation.PROCESS,
    "poison_thread": Isolation.THREAD,
    "poison_loop": Isolation.LOOP,
}
_SAYS = {
    "segfault": ("SIGSEGV", True),
    "exit": ("exit code 3", True),
    "exit_well": ("exit code 0", True),
    "killed": ("SIGKILL", True),
    "memory": ("MemoryError", False),
    "system_exit": ("SystemExit", False),
    "unheard": ("Unheard", False),
    "recursion": ("RecursionError", False),
}
_ALL = [
    _Poison(name, isolation, how, says, kills)
    for name, isolation in _KIND.items()
    for how, (says, kills) in _SAYS.items()
]


@dataclass(frozen=True)
class P1(OnEachStore):
    id: ClassVar[str] = "P1"
    title: ClassVar[str] = "jobs that end the process they run in"

    jobs: int = 10_000
    poison: int = 100
    rate: float = 100.0
    ms: int = 50  # longest run of a neighbour
    processes: int = 4

    @classmethod
    def small(cls) -> Self:
        return cls(GENEROUS, jobs=150, poison=10, rate=75.0, processes=1)

    def lasting(self, minutes: float) -> Self:
        jobs = int(min(10_000, minutes * 60 * self.rate))
        return replace(self, jobs=jobs, poison=jobs // 100)

    def load(self, store: Store) -> str:
        return (
            f"{self.poison} of them among {self.jobs:,} jobs of 1 to {self.ms} ms, {self.rate:g} "
            f"jobs/s, {self.processes} worker processes"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, environment=self.environment, watched=True) as run:
            host = run.host(processes=self.processes, slots=20, app="chaos.poison:jobs")
            run.at_work(host)
            feed = run.feed(rate=self.rate, ms=self.ms)
            every = self.jobs / self.rate / self.poison
            poison: dict[int, tuple[bytes, _Poison]] = {}
            for each in self._chosen():
                poison |= self._bring(run, each)
                time.sleep(every)
            feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            check_killed(report, run, apart=poison, failed=len(poison))
            self._check_poison(report, run, poison)

    def _chosen(self) -> list[_Poison]:
        """Each kind as often as any other, in an order of its own each time."""
        if self.poison < len(_ALL):  # each way at least once, wherever it may be
            by_how = [random.choice([p for p in _ALL if _suits(p, how)]) for how in _SAYS]
            return by_how + random.sample(_ALL, self.poison - len(by_how))
        chosen = _ALL * -(-self.poison // len(_ALL))
        return random.sample(chosen, self.poison)

    def _bring(self, run: Run, kind: _Poison) -> dict[int, tuple[bytes, _Poison]]:
        (number,) = run.numbers(1)
        ids = run.bring([Brought(kind.name, kind.isolation, number, {"how": kind.how})])
        return {number: (ids[number], kind)}

    def _check_poison(
        self, report: Report, run: Run, poison: Mapping[int, tuple[bytes, _Poison]]
    ) -> None:
        """In `failed_jobs` with the reason, after the three runs that a crash is given, or one."""
        runs = run.count().runs
        wrong: Counter[str] = Counter()
        for number, (job, kind) in poison.items():
            found = run.driver.inspection.find(job)
            attempts = run.driver.inspection.attempts(job)
            endings = [attempt.ending for attempt in attempts]
            tell = [_tells(attempt, kind) for attempt in attempts]
            failures = {
                _STATE: found is None or found.state is not State.FAILED,
                _HISTORY: endings not in kind.histories,
                # Who was claimed by a process that died may not have begun there; and who was cut
                # off with it, in a process of its own, is not charged.
                _RUNS: len(runs.get(number, [])) < len(endings) - sum(map(_was_shared, attempts)),
                _REASON: not (tell and tell[-1] and (kind.shares or all(tell))),
            }
            wrong.update(what for what, is_wrong in failures.items() if is_wrong)
            if any(failures.values()):
                report.figures[f"seen of {kind.name} that {kind.how}"] = str(attempts)
        for what in (_STATE, _HISTORY, _RUNS, _REASON):
            report.none(what, wrong[what])
        killers = sum(kind.kills for _, kind in poison.values())
        report.figures["of which kill their process"] = killers


def _was_shared(attempt: Attempt) -> bool:
    return attempt.error is not None and "worker process" in attempt.error.message


def _suits(poison: _Poison, how: str) -> bool:
    """Whether it shows what this way does: to others that share its process, if only two may."""
    return poison.how == how and (poison.shares or how not in ("segfault", "exit_well"))


def _tells(attempt: Attempt, kind: _Poison) -> bool:
    error = attempt.error
    return error is not None and kind.says in f"{error.type}: {error.message}"
