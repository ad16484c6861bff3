"""What must hold whatever was broken: counted from the ledger and held against the store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import pairwise

from chaos import ledger
from chaos.counting import SECOND, Count
from chaos.run import Run
from chaos.runs import late_and_accepted
from chaos.scenario import Report


def check_effects(report: Report, run: Run) -> None:
    """Where no process of a worker may end."""
    count = run.count()
    check_jobs(report, run, count)
    report.none("doubled", len(count.doubled))
    report.none("stale effects", len(count.stale))
    report.none("worker processes that ended", run.exits())


def check_killed(
    report: Report, run: Run, *, apart: Collection[int] = (), failed: int = 0
) -> Count:
    """Where processes are killed: what had started in one may run again, and nothing else.

    Jobs that stand `apart` are judged by the scenario itself; so many of them are to have `failed`.
    """
    count = run.count()
    check_jobs(report, run, count, apart=apart)
    report.none("doubled", len({*count.doubled}.difference(apart)))
    report.none("stale effects", len({*count.stale}.difference(apart)))
    baseless = {*count.baseless}.difference(apart)
    report.none("ran again, though their process lived", len(baseless))
    report.none("failed, against expectation", abs(run.failed() - failed))
    report.figures["ran again"] = len({*count.repeated}.difference(apart))
    if run.books:
        check_bookings(report, run)
    return count


def check_jobs(report: Report, run: Run, count: Count, *, apart: Collection[int] = ()) -> None:
    """Whatever happened to processes: no job is lost, and no write of a claim that had moved on was
    taken."""
    report.none("lost", len({*count.lost}.difference(apart)))
    report.none("stale accepted", len(late_and_accepted(ledger.moves(run.place))))
    report.none("attempts spent by faults", len({*count.charged}.difference(apart)))
    report.none("ran, though dispatch said that nothing was sent", len(count.conjured))
    report.none("ran in part, though dispatched in one transaction", count.torn)
    report.none("ran, though nobody dispatched them", len(count.strangers))
    report.none("dispatches with an unclear error", len(count.unclear()))
    report.none("left unfinished in the store", run.unfinished())
    report.none(
        "settled in the store otherwise than they ended", abs(run.completed() - len(count.ended))
    )
    tracebacks = [found for each in run.workers for found in _tracebacks(each.log)]
    report.none("tracebacks of workers", len(tracebacks))
    if tracebacks:
        report.figures["the first traceback"] = tracebacks[0][:2000]
    report.figures |= {
        "offered": count.offered,
        **{f"dispatch {verdict}": jobs for verdict, jobs in sorted(count.verdicts.items())},
        "slowest dispatch (s)": round(count.slowest_dispatch, 2),
        "ended": len(count.ended),
    }
    for error, times in count.errors.most_common(8):
        report.figures[f"{error}, times"] = times


def _tracebacks(log: str) -> list[str]:
    """Not those that Python or the pool of connections prints where the end of a thread's run was
    raised in a place that can pass nothing on, such as the callback of a weak reference or a
    rollback; the run is ended otherwise then."""
    found = (each.group() for each in _TRACEBACKS.finditer(log))
    return [each for each in found if not _ENDED.match(each.rstrip().splitlines()[-1])]


_TRACEBACK = r"Traceback \(most recent call last\):\n(?:(?:  .*)?\n)*\S.*(?:\n|$)"
_LINK = r"\n(?:During handling|The above exception)[^\n]*\n\n"
_TRACEBACKS = re.compile(f"{_TRACEBACK}(?:{_LINK}{_TRACEBACK})*")
_ENDED = re.compile(r"\S*\b_Ended\b")


def check_bookings(report: Report, run: Run) -> None:
    """The business table: each job that is to write a row has written exactly one."""
    rows = Counter(each.number for each in run.bookings())
    report.none("rows missing", len(run.booked.difference(rows)))
    report.none("rows doubled", sum(times > 1 for times in rows.values()))
    report.figures["rows"] = len(rows)


def resumed_after(run: Run, kills: Sequence[int]) -> list[float]:
    """Seconds from each kill (monotonic nanoseconds) until the process that took the killed one's
    place had its first turn; infinite where none came."""
    firsts = sorted(turns[0].at for turns in ledger.turns(run.place).values() if turns)
    later = [at for at in firsts if kills and at > kills[0]]
    waits = [(first - kill) / SECOND for kill, first in zip(sorted(kills), later, strict=False)]
    return waits + [float("inf")] * (len(kills) - len(waits))


def ran_again_after(count: Count, kills: Sequence[tuple[int, set[int]]]) -> list[float]:
    """Seconds from each kill (when, which processes) until each job that it had cut off began
    again. Of a process that was stopped more than once, what had begun again before the next stop
    counts for the first."""
    waits = []
    for at, pids in kills:
        for runs in count.runs.values():
            for run, after in pairwise(runs):
                if run.pid in pids and run.started <= at < after.started and not run.raised:
                    waits.append((after.started - at) / SECOND)
    return waits
