"""`python -m bench`: runs everything, prints a table with ratios, keeps the figures as JSON."""

from __future__ import annotations

import argparse
import signal
import sys
import time

from bench import dispatching, draining, idle, importing, latency, report
from bench.plan import QUICK, Figures, Plan

PARTS = {
    "dispatch": dispatching.measure,
    "drain": draining.measure,
    "pickup": latency.measure,
    "idle": idle.measure,
    "import": importing.measure,
}
ONCE = {"idle", "import"}  # a minute, and a best of many


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description="Measures Tabur on SQLite.")
    parser.add_argument("--quick", action="store_true", help="small numbers, one repetition")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave out the other parts")
    parser.add_argument("--write-docs", action="store_true", help="put the table in docs/bench.md")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # workers are stopped too
    plan = QUICK if options.quick else Plan()
    figures = Figures()
    where = report.machine()
    chosen = options.only or list(PARTS)
    for repetition in range(plan.repetitions):
        for part in chosen:
            if part in ONCE and repetition:
                continue
            started = time.perf_counter()
            PARTS[part](plan, figures)
            took = time.perf_counter() - started
            print(f"{repetition + 1}/{plan.repetitions} {part}: {took:.0f} s", file=sys.stderr)

    text = f"{report.heading(plan, where)}\n{report.table(figures)}"
    print(text)
    if "import" in chosen:
        slowest = ", ".join(f"{name} {took:.1f} ms" for name, took in importing.top(8))
        print(f"\nOf the import, themselves: {slowest}")
    if not options.quick:
        print(f"\nKept in {report.write(plan, figures, where).relative_to(report.ROOT)}")
    if options.write_docs:
        report.write_docs(text)


if __name__ == "__main__":
    main()
