"""Z1: a worker that stands still until others have its jobs, and then goes on; answers that are
lost."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

from chaos import ledger
from chaos.checks import check_killed, ran_again_after
from chaos.counting import Count
from chaos.feeding import Brought
from chaos.ledger import ACCEPTED, DECLINED, MISLAID, STARTED
from chaos.run import Run
from chaos.runs import claims_of
from chaos.scenario import GENEROUS, OnEachStore, Report
from chaos.stores import Store
from chaos.workers import Workers
from tabur.model.outcome import Ending
from tabur.model.records import encode
from tabur.model.states import Isolation, State

APP = "chaos.late:jobs"
#: One in so many late ones writes a row through `ctx.transaction()`, where the store can.
BOOKED = 5


@dataclass(frozen=True)
class Z1(OnEachStore):
    """All processes of a host stopped (SIGSTOP) while its jobs run, and continued when others run
    them. Its children go on first, so that they write before their supervisor can end them.

    Beside it a worker of which questions and answers of the store are lost on purpose.
    """

    id: ClassVar[str] = "Z1"
    title: ClassVar[str] = "a worker stopped past its lease, then continued; answers lost"

    settles: int = 1000
    """That are to come too late: the host is stopped again and again until they are so many. How
    many of its jobs come to settle before it finds out what has happened differs."""
    late: int = 1000
    """Jobs that run when it is stopped."""
    processes: int = 4
    rounds: int = 8
    """At most."""
    losing: float = 0.1
    """The share of questions and of answers that are lost."""
    beside: int = 5000
    """Jobs of the worker of which they are lost."""

    @classmethod
    def small(cls) -> Self:
        small = cls(GENEROUS, beat=0.5, lost=2.0, losing=0.25, beside=150)
        return replace(small, settles=20, late=40, processes=1, rounds=3)

    def lasting(self, minutes: float) -> Self:
        rounds = max(1, round(minutes))
        return replace(self, rounds=rounds, settles=rounds * self.settles // self.rounds)

    def load(self, store: Store) -> str:
        return (
            f"{self.late:,} jobs, stopped while they ran until others had run half of them, lost "
            f"after {self.lost:g} s, again until {self.settles:,} settles came too late; beside it "
            f"{self.beside:,} jobs, of whose exchanges {self.losing:.0%} were not sent and "
            f"{self.losing:.0%} not answered"
        )

    def break_it(self, report: Report, store: Store, place: Path) -> None:
        with Run(place, store.url, environment=self.environment, watched=True) as run:
            losing = {"CHAOS_LOSING": str(self.losing)}
            run.host(slots=10, environment=losing, options=("--queue=losing",))
            run.bring_mixed(self.beside, ms=20, queue="losing")
            slots = -(-self.late // self.processes)
            first = run.host(processes=self.processes, slots=slots, app=APP)
            others = run.host(processes=self.processes, slots=slots, app=APP)
            run.at_work(first, others)
            late: dict[int, bytes] = {}
            stops: list[tuple[int, set[int]]] = []
            while len(stops) < self.rounds and len(_answered(run, late)) < self.settles:
                stops.append(self._stop_and_go(run, store, first, others, late))
            report.figures["times it was stopped"] = len(stops)
            report.figures["drained after (s)"] = round(run.drain(), 1)

            count = check_killed(report, run, apart=late)
            self._check_late(report, run, count, late)
            mislaid = [each for each in ledger.moves(run.place) if each.what == MISLAID]
            report.at_least("claimed by answers that were lost", len(mislaid), 1)
            waits = ran_again_after(count, stops)
            report.recovered("from the stop until a job runs elsewhere", waits)

    def _stop_and_go(
        self, run: Run, store: Store, first: Workers, others: Workers, known: dict[int, bytes]
    ) -> tuple[int, set[int]]:
        """Answers when it stopped, and which processes."""
        _stand_still(others, store)
        gate = f"gate-{time.monotonic_ns()}"
        late = run.bring(self._late(run, gate))
        known |= late
        run.until(lambda: len(_started(run) & {*late}) == len(late), "the late ones started")
        stopped = {*_stand_still(first, store)}
        at = time.monotonic_ns()
        (run.place / gate).touch()
        others.go_on()
        half = len(late) // 2
        run.until(
            lambda: len(_completed(run, late)) >= half,
            "the others to have run half of them",
            ceiling=(self.lost + 30.0) * GENEROUS,
        )
        first.go_on_below()
        run.until(lambda: len(_answered(run, late)) >= half or not first.children(), "late writes")
        first.go_on()
        run.until(lambda: first.has_left or first.is_at_work, "the stopped one to work on")
        left = [*late.values()]

        def have_run() -> bool:
            while left and run.is_finished(left[-1]):
                left.pop()
            return not left

        run.until(have_run, "each of them to have run")
        return at, stopped

    def _late(self, run: Run, gate: str) -> Iterator[Brought]:
        numbers = run.numbers(self.late)
        for number in numbers:
            books = run.books and number % BOOKED == 0
            kind = ("late_booked", Isolation.THREAD) if books else ("late", Isolation.LOOP)
            yield Brought(*kind, number, {"gate": gate})

    def _check_late(
        self, report: Report, run: Run, count: Count, late: Mapping[int, bytes]
    ) -> None:
        """What stands of each is what its second run left, and nothing else."""
        claims = claims_of(ledger.moves(run.place))
        rows = {each.number: each.token for each in run.bookings()}
        wrong = dict.fromkeys(
            ("state", "result", "progress", "other outcomes", "attempts", "rows"), 0
        )
        for number, job in late.items():
            found = run.driver.inspection.find(job)
            token = claims[job][-1]
            endings = [each.ending for each in run.driver.inspection.attempts(job)]
            assert found is not None
            wrong["state"] += found.state is not State.COMPLETED
            wrong["result"] += found.result != encode(token.hex())
            wrong["progress"] += found.progress.message not in (None, token.hex())
            wrong["other outcomes"] += endings.count(Ending.COMPLETED) != 1 or not (
                {*endings} <= {Ending.COMPLETED, Ending.CRASHED}
            )
            wrong["attempts"] += found.attempts != 1
            wrong["rows"] += rows.get(number, token) != token
        for what, jobs in wrong.items():
            report.none(f"of the late ones, {what} not those of the second run", jobs)
        disturbed = [
            number
            for number in late
            if not all(one.was_gone(two, run.gone) for one, two in pairwise(count.runs[number][1:]))
        ]
        report.none("second runs that were disturbed", len(disturbed))
        answers = _answered(run, late)
        report.at_least("late settles that were tried", len(answers), self.settles)
        report.none("late settles accepted", sum(each.what == ACCEPTED for each in answers))
        report.figures["late settles refused"] = sum(each.what == DECLINED for each in answers)


def _started(run: Run) -> set[int]:
    return {each.number for each in ledger.effects(run.place) if each.what == STARTED}


def _completed(run: Run, late: Mapping[int, bytes]) -> list[bytes]:
    """By the store's account: whose write it was, we do not ask here."""
    moves = [each for each in ledger.moves(run.place) if each.what == ACCEPTED and each.ends]
    return [each.job for each in moves if each.job in {*late.values()}]


def _answered(run: Run, late: Mapping[int, bytes]) -> list[ledger.Move]:
    """What the store said to settles of first claims."""
    moves = ledger.moves(run.place)
    first = {job: tokens[0] for job, tokens in claims_of(moves).items()}
    jobs = {*late.values()}
    return [
        each
        for each in moves
        if each.what in (ACCEPTED, DECLINED)
        and each.job in jobs
        and each.token == first.get(each.job)
    ]


def _stand_still(host: Workers, store: Store) -> list[int]:
    """Stops it where it holds no lock: who is stopped in the middle of a write stops all others on
    a file, and elsewhere those who would rescue its jobs, until the server ends its transaction."""
    while True:
        stopped = host.stand_still()
        if _is_free(store):
            return stopped
        host.go_on()


def _is_free(store: Store) -> bool:
    from sqlalchemy import NullPool, create_engine, text
    from sqlalchemy.exc import DBAPIError

    if store.is_file:
        with closing(sqlite3.connect(store.url.partition("///")[2], timeout=1.0)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            file.execute("ROLLBACK")
            return True
    if not store.is_sql:
        return True
    with create_engine(store.url, poolclass=NullPool).connect() as connection:
        try:
            connection.execute(
                text("SELECT id FROM job_ready WHERE queue = 'default' FOR UPDATE NOWAIT")
            )
        except DBAPIError:
            return False
        return True
