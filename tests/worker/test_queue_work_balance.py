"""`queue:work --balance` as a process: processes go where the work is, and come back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.workshop import Workshop, make_workshop, until

JOBS = """
import os
import time
from pathlib import Path

from tabur import JobContext, Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.job(queue="mail")
def mail(n: int) -> None:
    note("begun", n)
    time.sleep(0.2)
    note("done", n, os.getpid())


@jobs.job(queue="mail")
def waits(ctx: JobContext, n: int) -> None:
    note("waits", n, os.getpid())
    gate = Path(os.environ["LEDGER"]).with_name("gate")
    while not gate.exists():
        time.sleep(0.05)
    note("waited", n, ctx.attempt)


@jobs.job()
def quick(n: int = 0) -> None:
    time.sleep(0.1)
    note("quick", n)
"""
#: One job at once in each process, and soon done with: so that a few jobs are many.
BRISK = ("--concurrency=1", "--target=1", "--balance-cooldown=1")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, JOBS, monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()


def processes(shop: Workshop) -> dict[str, int]:
    """How many worker processes each queue has."""
    return Counter(queue for child in shop.children() for queue in child.queues)


def test_processes_go_to_the_queue_that_needs_them_and_end_when_it_does_not(
    shop: Workshop,
) -> None:
    worker = shop.worker("--queue=mail,default", "--balance", "--max-processes=4", *BRISK)
    until(lambda: processes(shop) == {"mail": 1, "default": 1}, worker.output)
    for n in range(60):
        shop.module.mail.dispatch(n=n)
    until(lambda: processes(shop) == {"mail": 3, "default": 1}, worker.output)
    shop.noted("done", 60)
    until(lambda: processes(shop) == {"mail": 1, "default": 1}, worker.output)
    worker.stop()
    worker.ended()
    assert sorted(shop.ledger("begun")) == sorted(f"begun {n}" for n in range(60))
    assert len({line.split()[2] for line in shop.ledger("done")}) == 3
    assert len(shop.ledger("done")) == 60
    assert re.search(
        r"mail: \d → 3 processes: \d+ waiting, .+ arriving, .+; \d+ would do, 4 at most in all",
        worker.output,
    )
    assert "mail: 2 → 1 process: 0 waiting" in worker.output
    assert "has been enough for 1 s" in worker.output


def test_a_process_that_is_one_too_many_finishes_its_job_however_long_that_takes(
    shop: Workshop,
) -> None:
    options = ("--queue=mail,default", "--balance", "--max-processes=3", "--grace=0.2")
    worker = shop.worker(*options, *BRISK)
    for n in range(2):
        shop.module.waits.dispatch(n=n)
    shop.noted("waits", 2)
    shop.jobs.dispatch_many(shop.module.quick(n=n) for n in range(120))
    until(lambda: "mail: 2 → 1 process" in worker.output, worker.output)
    assert "another queue needs more" in worker.output
    # It is told at once, and its grace, if it had one, is long over.
    shop.module.quick.options(delay=2).dispatch(n=1_000)
    shop.noted("quick 1000")
    assert len(shop.ledger("waits")) == 2
    assert processes(shop)["mail"] == 2, "it still runs, and so nobody has its room"
    assert processes(shop)["default"] == 1
    (shop.folder / "gate").touch()
    assert sorted(shop.noted("waited", 2)) == ["waited 0 1", "waited 1 1"]
    until(lambda: processes(shop)["mail"] == 1, worker.output)
    shop.noted("quick", 121)
    worker.stop()
    worker.ended()
    assert max(Counter(shop.ledger("quick")).values()) == 1


def test_where_none_is_needed_there_may_be_none(shop: Workshop) -> None:
    worker = shop.worker("--queue=mail", "--balance=auto", "--min-processes=0", *BRISK)
    until(lambda: "Balancing: mail 0–10" in worker.output)
    assert shop.children() == []
    shop.module.mail.dispatch(n=7)
    shop.noted("done 7")
    assert "mail: 0 → 1 process: 1 waiting" in worker.output
    until(lambda: shop.children() == [], worker.output)
    worker.stop()
    worker.ended()


def test_it_stops_when_all_queues_are_empty(shop: Workshop) -> None:
    for n in range(30):
        shop.module.mail.dispatch(n=n)
    shop.module.quick.dispatch()
    worker = shop.worker("--queue=mail,default", "--balance", "--stop-when-empty", *BRISK)
    worker.ended()
    assert len(shop.ledger("done")) == 30
    assert len(shop.ledger("quick")) == 1


def test_it_does_not_stop_before_the_last_queue_has_had_its_turn(shop: Workshop) -> None:
    for n in range(20):
        shop.module.mail.dispatch(n=n)
    shop.jobs.dispatch_many(shop.module.quick(n=n) for n in range(20))
    options = ("--queue=mail,default", "--balance", "--max-processes=1", "--min-processes=0")
    shop.worker(*options, "--stop-when-empty", *BRISK).ended()
    assert len(shop.ledger("done")) == len(shop.ledger("quick")) == 20


def test_a_process_that_has_run_its_jobs_is_replaced(shop: Workshop) -> None:
    options = ("--queue=mail", "--balance", "--max-processes=1", "--max-jobs=2")
    worker = shop.worker(*options, *BRISK)
    for n in range(6):
        shop.module.mail.dispatch(n=n)
    shop.noted("done", 6)
    worker.stop()
    worker.ended()
    assert len({line.split()[2] for line in shop.ledger("done")}) == 3


def test_simple_divides_the_processes_evenly(shop: Workshop) -> None:
    worker = shop.worker("--queue=mail,default", "--balance=simple", "--processes=3")
    until(lambda: processes(shop) == {"mail": 2, "default": 1}, worker.output)
    shop.module.mail.dispatch(n=1)
    shop.module.quick.dispatch(n=1)
    shop.noted("done")
    shop.noted("quick")
    worker.stop()
    worker.ended()


def test_ctrl_c_ends_a_process_that_drains_within_its_grace(shop: Workshop) -> None:
    options = ("--queue=mail,default", "--balance", "--max-processes=3", "--grace=1")
    worker = shop.worker(*options, *BRISK)
    for n in range(2):
        shop.module.waits.dispatch(n=n)
    shop.noted("waits", 2)
    shop.jobs.dispatch_many(shop.module.quick(n=n) for n in range(120))
    until(lambda: "mail: 2 → 1 process" in worker.output, worker.output)
    worker.stop()
    worker.ended()
    assert shop.ledger("waited") == []
    assert (
        sum(each.pending for each in shop.jobs.driver.inspection.queues() if each.queue == "mail")
        == 2
    )


# options that contradict each other


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--balance=auto", "--processes=3"), 2, "Leave out --processes"),
        (("--max-processes=3",), 2, "--max-processes is for --balance=auto"),
        (("--balance=simple", "--target=3"), 2, "--target is for --balance=auto"),
        (("--balance=auto", "--once"), 2, "--once runs one job"),
        (("--balance=auto", "--stop-when-empty-for=9"), 2, "write --stop-when-empty, or"),
        (("--balance=fair",), 2, "'fair' is not one of"),
        (("--queue=a:5-2", "--balance=auto"), 1, "Queue a: 5 to 2 processes"),
        (("--queue=a:3-4,b:3-4", "--balance=auto", "--max-processes=5"), 1, "6 processes at least"),
        (("--queue=a,b,c", "--balance=simple", "--processes=2"), 1, "divided among 3 queues"),
        (("--balance=auto", "--target=0"), 1, "--target=0: seconds above 0"),
    ],
)
def test_what_cannot_be_is_said(
    shop: Workshop, options: tuple[str, ...], code: int, said: str
) -> None:
    output = shop.run("queue:work", *options, code=code)
    assert said in " ".join(output.split())


# horizon


def test_horizon_works_all_queues_of_the_app_and_is_ended_by_its_command(shop: Workshop) -> None:
    worker = shop.worker("--max-processes=3", *BRISK, command="horizon")
    shop.module.mail.dispatch(n=1)
    shop.module.quick.dispatch(n=1)
    shop.noted("done")
    shop.noted("quick")
    assert "Horizon is running" in shop.run("horizon:status")
    shop.run("horizon:pause")
    until(lambda: "Paused: all queues" in worker.output)
    shop.module.mail.dispatch(n=2)
    shop.run("horizon:continue")
    shop.noted("done", 2)
    shop.run("horizon:terminate", "--wait")
    worker.ended()
    assert "Horizon is inactive" in shop.run("horizon:status", code=2)


def test_how_fast_workers_are_can_be_told_from_everywhere(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_BEAT", "0.2")
    shop.worker("--queue=mail", "--processes=2", "--concurrency=1")
    for n in range(40):
        shop.module.mail.dispatch(n=n)

    def told() -> bool:
        (mail,) = shop.jobs.scaling(queues=["mail"], concurrency=1)
        return mail.service is not None and bool(mail.arrivals) and mail.processes == 2

    until(told)
    (mail,) = shop.jobs.scaling(queues=["mail"], concurrency=1)
    assert mail.service is not None
    assert 0.2 <= mail.service < 1.0
