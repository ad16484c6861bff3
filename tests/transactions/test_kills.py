"""kill -9 at any statement of a job's transaction: what it writes is there once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tabur import State
from tests.transactions.bench import Bench

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.parametrize(
        "bench", ["sqlite", "postgresql", "mysql", "postgresql+asyncpg"], indirect=True
    ),
]


def killed_everywhere(bench: Bench, kind: str) -> Iterator[int]:
    """At one place after the other, until there is none."""
    client = bench.async_engine.url.get_driver_name() if bench.async_engine else "-"
    command = [sys.executable, "-m", "tests.transactions.victim", bench.url, client, kind]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as victims:
        assert victims.stdin is not None
        assert victims.stdout is not None
        for place in count():
            victims.stdin.write(f"{place}\n")
            victims.stdin.flush()
            ended = int(victims.stdout.readline())
            if ended == 0:
                victims.stdin.close()
                return
            assert ended == signal.SIGKILL
            yield place


def rescue(bench: Bench) -> None:
    """As its supervisor does: the server takes a moment to see that a client has died, and rolls
    back then."""
    claiming = bench.jobs.driver.claiming
    until = time.monotonic() + 30
    claiming.release_worker("w1")
    while "w1" in claiming.holders():
        assert time.monotonic() < until
        claiming.release_worker("w1")


def test_a_transaction_is_done_once(bench: Bench) -> None:
    order = bench.orders_job()
    places = []
    handle = order.dispatch()
    for place in killed_everywhere(bench, "order"):
        completed = handle.status().state is State.COMPLETED
        places.append((completed, bench.orders()))
        rescue(bench)
        bench.work("w2")
        assert handle.status().state is State.COMPLETED, f"at place {place}"
        assert (bench.orders(), bench.attempts()) == (1, ["completed"]), f"at place {place}"
        bench.empty()
        handle = order.dispatch()
    written = [each for each in places if each[1]]
    assert places == sorted(places)
    assert len(places) - len(written) > 6, "before the commit"
    assert written == [(True, 1), (True, 1)], "after it: completed at once, with no one's help"


def test_an_import_goes_on_after_the_chunk_that_was_kept(bench: Bench) -> None:
    """Killed in its second chunk."""
    load = bench.imports_job(chunks=2)
    handle = load.dispatch()
    places = 0
    for place in killed_everywhere(bench, "import"):
        rescue(bench)
        bench.work("w2")
        assert handle.status().state is State.COMPLETED, f"at place {place}"
        assert bench.items() == ["tea 0", "tea 1"], f"at place {place}"
        assert bench.attempts() == ["completed"]
        bench.empty()
        handle = load.dispatch()
        places += 1
    assert places > 6
