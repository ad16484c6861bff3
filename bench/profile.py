"""Where each microsecond of a drained job goes: py-spy looks at the child 500 times a second.

`python -m bench.profile async --store postgres` prints microseconds of CPU per job, by part of the
library and by function: the share of the samples times what the operating system says the child has
used.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil

from bench.contestants import OURS, opened
from bench.ledger import executions
from bench.place import Place, fresh_place
from bench.processes import costs, wait_until
from bench.stores import STORES, Store

RATE = 500
SECONDS = 2
JOBS = 200_000
PARTS = {  # what a line of a stack says about the part it belongs to; the first that fits
    "tabur/drivers/": "the store and its driver",
    "psycopg": "the store and its driver",
    "pymysql": "the store and its driver",
    "redis/": "the store and its driver",
    "tabur/worker/": "the worker",
    "tabur/jobs/": "declared jobs: context, scope, arguments",
    "tabur/dispatch/": "declared jobs: context, scope, arguments",
    "tabur/model/": "the model: decode, decide, records",
    "asyncio/": "asyncio",
    "bench/": "the job itself: one write to the ledger",
}


def profile(store: Store, *, kind: str, slots: int) -> tuple[Counter[str], float]:
    """Samples by stack, and microseconds of CPU a job."""
    with fresh_place(store) as place, opened(OURS, place, BENCH_KIND=kind) as adapter:
        adapter.dispatch(JOBS)
        commands = adapter.ask("workers", processes=1, slots=slots)["commands"]
        with adapter.working(commands) as (worker,):
            wait_until(lambda: executions(place.ledger) > 2_000, seconds=30, what="jobs run")
            child = next(cost.pid for cost in costs(worker) if cost.role == "child")
            return _record(psutil.Process(child), place)


def _record(process: psutil.Process, place: Place) -> tuple[Counter[str], float]:
    stacks = place.folder / "stacks"
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        sys.exit("py-spy is not installed: pip install -e '.[bench]'")
    before, spent = executions(place.ledger), sum(process.cpu_times()[:2])
    how = [
        "--pid",
        str(process.pid),
        "--duration",
        str(SECONDS),
        "--rate",
        str(RATE),
        "--nonblocking",
    ]
    where = ["--format", "raw", "--output", str(stacks)]
    subprocess.run([spy, "record", *how, *where], check=True, capture_output=True)
    ran, used = executions(place.ledger) - before, sum(process.cpu_times()[:2]) - spent
    samples: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        samples[stack] += int(count)
    return samples, used / ran * 1e6


def by_part(samples: Counter[str]) -> Counter[str]:
    """The innermost frame that belongs to somebody decides."""
    parts: Counter[str] = Counter()
    for stack, count in samples.items():
        frames = reversed(stack.split(";"))
        parts[next((part for each in frames if (part := _part(each))), "the rest")] += count
    return parts


def by_function(samples: Counter[str]) -> Counter[str]:
    functions: Counter[str] = Counter()
    for stack, count in samples.items():
        name, _, place = stack.split(";")[-1].partition(" (")
        functions[f"{name} ({place.partition(':')[0].rstrip(')')})"] += count
    return functions


def _part(frame: str) -> str | None:
    return next((part for path, part in PARTS.items() if path in frame), None)


def main() -> None:
    parser = argparse.ArgumentParser(description="Where each microsecond of a drained job goes.")
    parser.add_argument("kind", choices=["async", "def"], nargs="?", default="async")
    parser.add_argument("--slots", type=int, default=200)
    parser.add_argument("--store", choices=STORES, default="sqlite")
    options = parser.parse_args()
    store = STORES[options.store]()
    store.start()
    try:
        samples, cpu = profile(store, kind=options.kind, slots=options.slots)
    finally:
        store.stop()

    def microseconds(count: int) -> float:
        return count / sum(samples.values()) * cpu

    print(f"{store.title}, {options.kind}, {options.slots} slots\n")
    print("| part | µs a job |\n|---|---|")
    for part, count in by_part(samples).most_common():
        print(f"| {part} | {microseconds(count):.1f} |")
    print(f"| all threads together | {microseconds(sum(samples.values())):.1f} |")
    print("\n| function | µs a job |\n|---|---|")
    for function, count in by_function(samples).most_common(25):
        print(f"| `{function}` | {microseconds(count):.1f} |")


if __name__ == "__main__":
    main()
