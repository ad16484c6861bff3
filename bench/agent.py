"""Runs one adapter in the contestant's own environment and obeys the bench, line by line.

Each line of standard input is `{"do": …}` with arguments; each is answered by one line,
`{"seconds": …}` or `{"error": …}`. What is timed is timed here, beside the contestant.
`python -m bench.agent bench.rivals.huey.adapter` needs nothing but Python and the contestant.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.adapter import BaseAdapter
from bench.ledger import ENTRY, executions

PIECE = 1_000  # jobs in one dispatch of a sustained run


class Agent:
    """One method for each command; arguments are the command's own."""

    def __init__(self, adapter: BaseAdapter) -> None:
        self._adapter = adapter

    def prepare(self) -> dict[str, Any]:
        self._adapter.prepare()
        return {}

    def dispatch_each(self, first: int, count: int) -> dict[str, Any]:
        return _timed(lambda: self._adapter.dispatch_each(range(first, first + count)))

    def dispatch_many(self, first: int, count: int) -> dict[str, Any]:
        return _timed(lambda: self._adapter.dispatch_many(range(first, first + count)))

    def schedule_many(self, first: int, count: int) -> dict[str, Any]:
        return _timed(lambda: self._adapter.schedule_many(range(first, first + count)))

    def unfinished(self) -> dict[str, Any]:
        return {"count": self._adapter.unfinished()}

    def workers(self, processes: int, slots: int) -> dict[str, Any]:
        return {"commands": self._adapter.workers(processes, slots)}

    def quick_workers(self) -> dict[str, Any]:
        return {"commands": self._adapter.quick_workers()}

    def drain(self, batch: int) -> dict[str, Any]:
        started = time.perf_counter()
        count = self._adapter.drain(batch)
        return {"seconds": time.perf_counter() - started, "count": count}

    def claim_and_settle(self, count: int, batch: int) -> dict[str, Any]:
        claims, settles = self._adapter.claim_and_settle(count, batch)
        return {"claims": claims, "settles": settles}

    def pick_ups(self, count: int, first: int, pause: list[float]) -> dict[str, Any]:
        """Milliseconds from before each dispatch to the job's first line. The ledger is a fifo;
        the clock is CLOCK_MONOTONIC, which all processes of a machine share. Before each one the
        worker falls idle, for `pause` seconds, shortest and longest."""
        answers = os.open(os.environ["BENCH_LEDGER"], os.O_RDONLY)
        waits = []
        for n in range(first, first + count):
            time.sleep(random.uniform(*pause))
            before = time.monotonic_ns()
            self._adapter.dispatch(n)
            number, _, first_line = ENTRY.unpack(os.read(answers, ENTRY.size))
            if number != n:
                raise RuntimeError(f"job {number} answered, {n} was asked")
            waits.append((first_line - before) / 1e6)
        os.close(answers)
        return {"milliseconds": waits}

    def sustain(self, seconds: float, backlog: int) -> dict[str, Any]:
        """Dispatches as fast as it is drained: `backlog` jobs are kept waiting."""
        ledger = Path(os.environ["BENCH_LEDGER"])
        until = time.monotonic() + seconds
        dispatched = 0
        while time.monotonic() < until:
            if dispatched - executions(ledger) >= backlog:
                time.sleep(0.005)
                continue
            self._adapter.dispatch_many(range(dispatched, dispatched + PIECE))
            dispatched += PIECE
        return {"count": dispatched}

    def versions(self, names: list[str]) -> dict[str, Any]:
        return {"versions": {name: found for name in names if (found := _version(name))}}

    def close(self) -> dict[str, Any]:
        self._adapter.close()
        return {}


def _timed(work: Callable[[], None]) -> dict[str, Any]:
    started = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - started}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")  # what a library prints goes elsewhere
    os.dup2(2, 1)

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    try:
        agent = Agent(importlib.import_module(sys.argv[1]).Adapter())
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        raise
    answer({})
    for line in sys.stdin:
        arguments = json.loads(line)
        command: Callable[..., dict[str, Any]] = getattr(agent, arguments.pop("do"))
        try:
            answer(command(**arguments))
        except NotImplementedError:
            answer({"error": "not offered"})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
