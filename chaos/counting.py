"""What the ledger says in the end: nothing is estimated."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise, starmap
from statistics import median

from chaos import numbering
from chaos.ledger import DONE, ENDED, STARTED, UNCLEAR, Dispatch, Effect
from chaos.runs import RunOf, runs_of

SECOND = 1_000_000_000


class Count:
    """Every dispatch held against every effect. Attributes ending in `s` are job numbers.

    `attempts`: how many a job takes for its own reasons. `gone`: when processes ended that may
    have been killed: a job that ran in one may run again. `accepted`: job and token of
    ends that the store took note of: whatever became of the process, such a job may not.
    """

    def __init__(
        self,
        effects: Sequence[Effect],
        dispatches: Iterable[Dispatch],
        *,
        attempts: Callable[[int], int] = numbering.attempts,
        gone: Mapping[int, int] | None = None,
        accepted: frozenset[tuple[bytes, bytes]] = frozenset(),
    ) -> None:
        self.effects = effects
        self.dispatches = list(dispatches)
        self.verdicts = Counter[str]()
        """Jobs by what their dispatch came to."""
        by_job: dict[int, list[Effect]] = defaultdict(list)
        for each in effects:
            by_job[each.number].append(each)
        self.runs: dict[int, list[RunOf]] = {
            number: runs_of(those) for number, those in by_job.items()
        }
        """By job, in the order in which they began."""
        self.ended = {each.number for each in effects if each.what == ENDED}
        self.lost: list[int] = []
        """Dispatch said done, and there was no end."""
        self.conjured: list[int] = []
        """Dispatch said that nothing was sent, and yet it ran."""
        self.torn = 0
        """Dispatches of several jobs in one transaction of which only some ran."""
        self.errors = Counter[str]()
        for dispatch in self.dispatches:
            self._compare(dispatch)
        died = gone or {}

        def has_reason(run: RunOf, after: RunOf) -> bool:
            return (run.job, run.token) not in accepted and run.was_gone(after, died)

        self.doubled = [
            number
            for number, those in self.runs.items()
            if not all(starmap(has_reason, pairwise([run for run in those if run.ended])))
        ]
        """Came to an end more than once, although the process lived on to tell, or had told."""
        self.repeated = [
            number
            for number, those in self.runs.items()
            if any(not run.raised for run in those[:-1])
        ]
        """Ran again for another reason than its own."""
        self.baseless = [
            number
            for number in self.repeated
            if not all(
                run.raised or has_reason(run, after) for run, after in pairwise(self.runs[number])
            )
        ]
        """Of those, ran again although nobody had killed the process that it had started in."""
        self.stale = [number for number, those in by_job.items() if _is_stale(those)]
        """Had an effect of an attempt after another claim's attempt had begun."""
        self.charged = [
            number for number, those in by_job.items() if those[-1].attempt > attempts(number)
        ]
        """Spent an attempt on something that was not its own fault."""
        known = {number for each in self.dispatches for number in each.numbers}
        self.strangers = [number for number in by_job if number not in known]

    @property
    def offered(self) -> int:
        return sum(self.verdicts.values())

    @property
    def slowest_dispatch(self) -> float:
        """Seconds, of those that did not insist."""
        return max((d.took / SECOND for d in self.dispatches if d.tries == 1), default=0.0)

    def unclear(self) -> list[str]:
        return [each.error for each in self.dispatches if each.verdict == UNCLEAR]

    def saying(self, *words: str) -> int:
        """Dispatches whose error had one of these words in it."""
        return sum(any(word in d.error.lower() for word in words) for d in self.dispatches)

    def _compare(self, dispatch: Dispatch) -> None:
        self.verdicts[dispatch.verdict] += dispatch.jobs
        if dispatch.error:
            self.errors[f"{dispatch.verdict}: {dispatch.error[:160]}"] += 1
        ran = [number for number in dispatch.numbers if number in self.ended]
        match dispatch.verdict:
            case "done":
                self.lost += sorted(set(dispatch.numbers) - set(ran))
            case "refused" if (
                dispatch.tries == 1
            ):  # an earlier try may have been answered by nobody
                self.conjured += ran
        if dispatch.verdict != DONE and 0 < len(ran) < dispatch.jobs:
            self.torn += 1


class Pace:
    """How many jobs ended when."""

    def __init__(self, effects: Iterable[Effect], what: int = ENDED) -> None:
        self._moments = [each.at for each in effects if each.what == what]

    def between(self, since: int, until: int) -> int:
        return bisect_left(self._moments, until) - bisect_left(self._moments, since)

    def rate(self, since: int, until: int) -> float:
        return self.between(since, until) * SECOND / max(1, until - since)

    def usual(self, since: int, until: int) -> float:
        """The rate of a second in the middle of all seconds."""
        return median(self.between(at, at + SECOND) for at in range(since, until - SECOND, SECOND))

    def first_after(self, moment: int) -> float:
        """Seconds until something happened again; infinite where it did not."""
        place = bisect_left(self._moments, moment)
        if place == len(self._moments):
            return float("inf")
        return (self._moments[place] - moment) / SECOND

    def back_after(self, moment: int, rate: float, *, until: int) -> float:
        """Seconds until a second began in which `rate` was reached; infinite where none did."""
        step = SECOND // 20
        for since in range(moment, until, step):
            if self.between(since, since + SECOND) >= rate:
                return (since - moment) / SECOND
        return float("inf")


def percentile(values: Sequence[float], share: float) -> float:
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _is_stale(effects: Sequence[Effect]) -> bool:
    """Whether an attempt left something behind after another claim's had begun."""
    began: list[bytes] = []
    for each in effects:
        if each.what == STARTED:
            began.append(each.token)
        elif began and began[-1] != each.token:
            return True
    return False
