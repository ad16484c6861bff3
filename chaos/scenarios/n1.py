"""N1: hosts cut off from the store and back, again and again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from chaos import ledger
from chaos.checks import check_killed, ran_again_after
from chaos.counting import SECOND, percentile
from chaos.run import Run, Stuck
from chaos.scenario import GENEROUS, LeftOut, Report, Scenario, Stopwatch
from chaos.stores import PROGRAMS, Store, opened
from chaos.workers import Workers
from servers import hosts
from servers.hosts import Host, Network, NoHosts

STORES = ("PostgreSQL", "MariaDB", "Redis")
#: Of `lost`: a silence that ends nothing, and one after which others have taken over.
SHORT, LONG = 0.25, 1.6
#: Seconds beyond `lost` until others have taken over, and until a host that is back works again.
BEYOND, BACK = 10.0, 15.0


class Cut(NamedTuple):
    """`at` and `mended`: monotonic nanoseconds. `tree`: the host's processes at the beginning."""

    host: Workers
    at: int
    mended: int
    tree: set[int]
    is_long: bool


@dataclass(frozen=True)
class N1(Scenario):
    """Hosts on a network. One after the other loses its link, or all that it sends and is sent; for
    a moment, or for longer than a worker may be silent. A third way is an address that changes:
    then its connections are dead, and nobody is told."""

    id: ClassVar[str] = "N1"
    title: ClassVar[str] = "hosts cut off and back, again and again"
    programs: ClassVar[tuple[str, ...]] = (
        *(each for store in STORES for each in PROGRAMS[store]),
        *hosts.PROGRAMS,
    )

    beat: float = 1.0
    lost: float = 10.0
    rate: float = 200.0
    ms: int = 50  # longest run of a job
    hosts: int = 3
    processes: int = 2  # of each host
    cuts: int = 48
    calm: float = 4.0  # seconds of work before each

    @classmethod
    def small(cls) -> Self:
        return cls(
            GENEROUS,
            beat=0.3,
            lost=4.0,
            rate=60.0,
            ms=400,
            hosts=2,
            processes=1,
            cuts=2,
            calm=1.0,
        )

    def lasting(self, minutes: float) -> Self:
        each = self.calm + self.lost * (SHORT + LONG) / 2 + 5.0
        return replace(self, cuts=max(2, int(minutes * 60 / len(STORES) / each)))

    def run(self, place: Path) -> list[Report]:
        reports = []
        try:
            with Network() as network:
                for name in STORES:
                    folder = place / name
                    folder.mkdir()
                    with opened(name, folder, host=network.address) as store:
                        reports.append(self._on(store, network, folder))
        except NoHosts as why:
            raise LeftOut(str(why)) from None
        return reports

    def _on(self, store: Store, network: Network, place: Path) -> Report:
        took = Stopwatch()
        report = Report(
            self.id,
            store.name,
            f"{self.rate:g} jobs/s of 1 to {self.ms} ms, {self.hosts} hosts with {self.processes} "
            f"worker processes each, one of them cut off {self.cuts} times, every other time for "
            f"longer than a worker may be silent; lost after {self.lost:g} s",
        )
        self._break_it(report, store, network, place)
        report.seconds = took()
        return report

    def _break_it(self, report: Report, store: Store, network: Network, place: Path) -> None:
        environment = {"TABUR_BEAT": str(self.beat), "TABUR_LOST": str(self.lost)}
        cables = [network.host(f"host-{n}", own_pids=False) for n in range(self.hosts)]
        with Run(place, store.url, environment=environment, watched=True) as run:
            workers = [run.host(processes=self.processes, inside=each.inside) for each in cables]
            run.at_work(*workers)
            feed = run.feed(rate=self.rate, ms=self.ms)
            cuts = []
            for n in range(self.cuts):
                time.sleep(self.calm)
                turn = n // 2 % self.hosts
                cuts.append(self._cut(run, workers[turn], cables[turn], n))
            for each in workers:
                with suppress(Stuck):  # whether each works again is for the checks to tell
                    run.until(lambda each=each: each.is_at_work, "back", ceiling=BACK * GENEROUS)  # type: ignore[misc]  # bound as it is made
            feed.end()
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = check_killed(report, run)
            long = [cut for cut in cuts if cut.is_long]
            again = ran_again_after(count, [(cut.at, cut.tree) for cut in long])
            report.at_most(
                "others take over within (s), p99",
                percentile(again, 0.99) if again else 0.0,
                (self.lost + BEYOND) * self.generosity,
            )
            report.times("until what was cut off runs again", again)
            back = [_works_again(run, cut) for cut in cuts]
            report.at_most(
                "works again after it is mended (s), p95",
                percentile(back, 0.95),
                BACK * self.generosity,
            )
            report.recovered("until a host works again after it is mended", back)
            report.none("workers that left", sum(each.has_left for each in workers))
            report.at_most("workers called lost", run.said(" is lost"), len(long) * self.processes)
            touched = sum(bool(cut.tree & {*run.gone}) for cut in cuts if not cut.is_long)
            report.figures["short cuts after which a process had ended by then"] = touched

    def _cut(self, run: Run, workers: Workers, host: Host, number: int) -> Cut:
        """Answers once it is mended."""
        is_long = number % 2 == 1
        children = workers.children()
        with suppress(Stuck):
            run.until(
                lambda: any(ledger.running(run.place, pid) for pid in children),
                "jobs to cut off",
                ceiling=self.calm + 5.0,
            )
        tree, at = {*workers.tree()}, time.monotonic_ns()
        match number % 6:
            case 0:
                host.renumber()
            case 1 | 4:
                host.cut()
            case _:
                host.swallow()
        time.sleep(self.lost * (LONG if is_long else SHORT))
        host.mend()
        return Cut(workers, at, time.monotonic_ns(), tree, is_long)


def _works_again(run: Run, cut: Cut) -> float:
    """Seconds from the mending until a child of that host had a turn; infinite where none came."""
    pids = {each.pid for each in ledger.processes(run.place).values() if each.host == cut.host.host}
    turns: Sequence[int] = sorted(
        turn.at
        for pid, those in ledger.turns(run.place).items()
        if pid in pids
        for turn in those
        if turn.at >= cut.mended
    )
    return (turns[0] - cut.mended) / SECOND if turns else float("inf")
