"""`python -m bench`: asks its questions of everybody on every store, prints tables with ratios, and
keeps the figures as JSON after each part, so that a run cut short has not run for nothing."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench import report
from bench.contestants import Contestant, everybody
from bench.figures import Figures
from bench.plan import QUICK, Plan
from bench.questions import QUESTIONS, Question, importing
from bench.session import Session
from bench.stores import STORES, Store
from servers.find import Missing


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # workers are stopped too
    kept = report.read(options.results) if options.results else _measure(options)
    print(report.text(kept))
    if options.write_docs:
        report.write_docs(kept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measures Tabur, the bare stores and the rivals."
    )
    names = list(everybody())
    parser.add_argument("--store", choices=STORES, action="append", help="leave out the others")
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="ask nothing else")
    parser.add_argument("--contestant", choices=names, action="append", help="nobody else")
    parser.add_argument("--quick", action="store_true", help="small numbers, one repetition")
    parser.add_argument("--repetitions", type=int, help="of what is repeated")
    parser.add_argument("--minutes", type=float, help="of a sustained run")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="begin no part that would end later, judged by what such a part takes",
    )
    parser.add_argument("--write-docs", action="store_true", help="put it all in docs/bench.md")
    parser.add_argument(
        "--results",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="measure nothing; put together what these runs have found, the last one's first",
    )
    options = parser.parse_args()
    if options.only == ["sustained"]:  # ten minutes for each of each: those who are named
        options.store = options.store or ["postgres"]
        options.contestant = options.contestant or ["tabur"]
    return options


@dataclass(frozen=True)
class Part:
    """One question on one store, once."""

    name: str
    question: Question
    store: str
    repetition: int

    contestants: int = 1
    """Who are measured one after the other, where that is not in `question.seconds`."""

    def seconds(self, plan: Plan) -> float:
        full = self.question.seconds[self.store]
        if self.name == "sustained":
            return (plan.minutes * 60 + 20) * self.contestants
        return full if plan.share == 1 else full / 15 + 5


def _parts(options: argparse.Namespace, plan: Plan) -> list[Part]:
    """What is asked once comes in the first round; every round asks everything else."""
    chosen: Sequence[str] = options.only or [name for name in QUESTIONS if QUESTIONS[name].asked]
    stores: Sequence[str] = options.store or list(STORES)
    return [
        Part(name, QUESTIONS[name], store, repetition, _fed(options, store))
        for repetition in range(plan.repetitions)
        for store in stores
        for name in chosen
        if store in QUESTIONS[name].stores and not (repetition and QUESTIONS[name].once)
    ]


def _fed(options: argparse.Namespace, store: str) -> int:
    """How many of those asked for can be fed by the thousand on this store."""
    return sum(
        1
        for name, each in everybody().items()
        if name != "bare"
        and (not options.contestant or name in options.contestant)
        and store in each.stores
        and each.stores[store].bulk
    )


def _measure(options: argparse.Namespace) -> report.Kept:
    plan = QUICK if options.quick else Plan()
    if options.repetitions:
        plan = replace(plan, repetitions=options.repetitions)
    if options.minutes:
        plan = replace(plan, minutes=options.minutes)
    parts = _parts(options, plan)
    needed = sum(part.seconds(plan) for part in parts) / 60
    print(f"{len(parts)} parts, about {needed:.0f} minutes", file=sys.stderr)

    session = Session(plan, {})
    session.everybody = _contestants(options, session.figures)
    kept = report.begin(plan, session.figures)
    began = time.monotonic()
    stores: dict[str, Store] = {}
    try:
        for part in parts:
            ends = (time.monotonic() - began + part.seconds(plan)) / 60
            if options.budget and ends > options.budget:
                print(f"left out for the budget: {part.name} {part.store}", file=sys.stderr)
                continue
            _ask(session, part, stores, kept)
            if not options.quick:
                report.write(kept)
    finally:
        if not options.quick:
            report.write(kept)  # also what the part that was cut short has found
        for store in stores.values():
            store.stop()
    if not options.quick:
        print(f"\nKept in {kept.path.relative_to(report.ROOT)}", file=sys.stderr)
    if any(part.name == "import" for part in parts):
        slowest = ", ".join(f"{name} {took:.1f} ms" for name, took in importing.top(8))
        print(f"Of the import, themselves: {slowest}", file=sys.stderr)
    return kept


def _contestants(options: argparse.Namespace, figures: Figures) -> dict[str, Contestant]:
    """Those that can be measured here: a rival whose environment cannot be made is left out."""
    chosen = {
        name: each
        for name, each in everybody().items()
        if not options.contestant or name in options.contestant
    }
    stores = set(options.store or STORES)
    for name, each in list(chosen.items()):
        if stores & set(each.stores):
            try:
                each.python()
            except Exception as error:
                figures.failures[name] = f"left out: {error}"
                print(f"{name} is left out: {error}", file=sys.stderr)
                del chosen[name]
    return chosen


def _ask(session: Session, part: Part, stores: dict[str, Store], kept: report.Kept) -> None:
    """The server is started with its first part; where it is missing, its parts are left out."""
    if part.store not in stores:
        store = STORES[part.store]()
        try:
            store.start()
        except Missing as missing:
            session.figures.failures.setdefault(part.store, str(missing))
            print(f"{part.store} is left out: {missing}", file=sys.stderr)
            return
        stores[part.store] = store
        report.remember(kept, store, session.contestants(store))
    started = time.perf_counter()
    session.repetition = part.repetition
    print(
        f"{part.repetition + 1}/{session.plan.repetitions} {part.name} {part.store}",
        file=sys.stderr,
    )
    try:
        part.question.measure(session, stores[part.store])
    except Exception as error:  # what its own limits have not caught: the other parts go on
        session.figures.failures[f"{part.name} {part.store}"] = f"{type(error).__name__}: {error}"
        print(f"{part.name} {part.store} FAILED: {error}", file=sys.stderr)
    took = time.perf_counter() - started
    kept.took[f"{part.name} {part.store} {part.repetition + 1}"] = round(took, 1)
    print(f"{part.name} {part.store}: {took:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
