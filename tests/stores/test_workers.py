"""Workers that begin, share, stop and end, and the commands of queues: the same on every store."""

from __future__ import annotations

import json

import pytest

from tabur import JobHandle, State
from tests.stores.places import PASSWORD
from tests.worker.workshop import Worker, Workshop, reaches, until

#: Where no worker of these stories works unless it is told to.
ASIDE = "aside"


@pytest.fixture
def connection(store: dict[str, str]) -> str:
    return store["QUEUE_CONNECTION"]


def test_a_second_migration_has_nothing_to_do(shop: Workshop) -> None:
    assert "Nothing to migrate" in shop.run("migrate")


def test_about_says_where_and_that_all_is_well_but_no_password(
    shop: Workshop, store: dict[str, str], worker: Worker
) -> None:
    said = shop.run("about")
    where = next(value for name, value in store.items() if name.endswith("_URL"))
    assert where.partition("@")[2] in said
    assert "All is well" in said
    assert "alive" in said
    assert PASSWORD not in said + worker.output


def test_an_address_that_is_wrong_is_said_without_the_password(
    shop: Workshop, store: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, url = next(each for each in store.items() if each[0].endswith("_URL"))
    wrong = url.replace(PASSWORD, "hush-wrong").replace("/stories", "/nowhere")
    wrong = wrong.replace("/jobs.sqlite3", "/ledger.txt/jobs.sqlite3")  # in a file as in a folder
    monkeypatch.setitem(shop.environment, name, wrong)
    said = shop.run("about", code=1)
    assert "ERROR" in said
    assert "hush" not in said
    assert "Traceback" not in said


def test_urgent_first_then_by_priority_then_in_order(shop: Workshop) -> None:
    shop.jobs.dispatch_many(
        shop.module.mark(text=text).options(queue=queue, priority=priority)
        for queue, priority, text in (
            (ASIDE, 0, "order c"),
            (ASIDE, 0, "order d"),
            (ASIDE, -1, "order e"),
            (ASIDE, 5, "order b"),
            ("urgent", 0, "order a"),
        )
    )
    worker = shop.work(f"--queue=urgent,{ASIDE}", "--concurrency=1")
    assert shop.ledger("order") == [f"order {n}" for n in "abcde"]
    assert worker.output.count(" DONE") == 5


def test_what_waits_is_shown_and_cleared(shop: Workshop, connection: str) -> None:
    aside = shop.module.double.options(queue=ASIDE)
    handles = [aside.dispatch(n=n) for n in range(3)]
    later = shop.module.double.options(queue=ASIDE, delay=3600).dispatch(n=3)

    full = shop.run("queue:monitor", f"{connection}:{ASIDE}", "--max=4", "--json", code=1)
    (level,) = json.loads(full)
    assert (level["connection"], level["queue"], level["status"]) == (connection, ASIDE, "ALERT")
    assert (level["size"], level["pending"], level["delayed"], level["reserved"]) == (4, 3, 1, 0)
    assert f"Cleared 4 jobs from the [{ASIDE}] queue" in shop.run(
        "queue:clear", f"--queue={ASIDE}", "--force"
    )
    assert {each.status().state for each in (*handles, later)} == {State.CANCELLED}


def test_two_workers_share_the_work(shop: Workshop) -> None:
    one = shop.module.meet.options(queue=ASIDE).dispatch(here=1, there=2)
    two = shop.module.meet.options(queue=ASIDE).dispatch(here=2, there=1)
    options = (f"--queue={ASIDE}", "--concurrency=1", "--stop-when-empty")
    workers = [shop.worker(*options), shop.worker(*options)]
    for each in workers:
        each.ended()
    assert one.result() != two.result()
    assert sorted(shop.ledger("meet")) == ["meet 1", "meet 2"]
    assert [each.output.count(" DONE") for each in workers] == [1, 1]


def test_term_hands_back_what_does_not_finish(shop: Workshop) -> None:
    handles = [
        shop.module.patient.options(queue=ASIDE).dispatch(name="handed-back"),
        shop.module.patient_lightly.options(queue=ASIDE).dispatch(name="handed-back"),
    ]
    worker = shop.worker(f"--queue={ASIDE}", "--grace=0.3")
    shop.noted("handed-back", 2)
    worker.stop()
    assert worker.ended() < 15
    for handle in handles:
        status = handle.status()
        assert (status.state, status.attempt) == (State.PENDING, 0)
        handle.cancel()
    assert "Traceback" not in worker.output


def test_a_paused_queue_rests_while_another_is_worked(shop: Workshop, connection: str) -> None:
    def double(queue: str) -> JobHandle[int]:
        handle: JobHandle[int] = shop.module.double.options(queue=queue).dispatch(n=2)
        return handle

    worker = shop.worker(f"--queue={ASIDE},urgent")
    reaches(double(ASIDE), State.COMPLETED)
    shop.run("queue:pause", f"{connection}:{ASIDE}", "--for=1h", "--reason=stock-taking")
    until(lambda: f"[{ASIDE}] (stock-taking)" in worker.output)

    def rests() -> JobHandle[int] | None:  # the process that runs jobs is told a moment later
        left = double(ASIDE)
        reaches(double("urgent"), State.COMPLETED)
        return left if left.status().state is State.PENDING else None

    resting = until(rests)
    assert resting is not None
    shop.run("queue:hold", "--reason=restored")
    until(lambda: "restored" in worker.output)
    shop.run("queue:continue", f"{connection}:{ASIDE}")
    held = double("urgent")
    shop.run("queue:release-hold", connection)
    for each in (resting, held):
        reaches(each, State.COMPLETED)
    worker.stop()
    worker.ended()


def test_restart_ends_workers_after_what_they_run(shop: Workshop, worker: Worker) -> None:
    running = shop.module.patient.dispatch(name="restarted", seconds=1.0)
    shop.noted("restarted")
    assert "restart signal to 1 worker process" in shop.run("queue:restart")
    worker.ended()
    assert "Restart asked for" in worker.output
    reaches(running, State.COMPLETED)
    until(lambda: not shop.children())


def test_a_balanced_worker_goes_where_jobs_wait_and_says_so_to_all(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    monkeypatch.setenv("TABUR_BEAT", "0.2")
    shop.jobs.dispatch_many(
        shop.module.mark(text=f"crowd {n}").options(queue="crowded") for n in range(300)
    )
    options = ("--queue=crowded,quiet", "--balance", "--max-processes=4", "--target=1")
    balanced = shop.worker(*options, "--concurrency=1", "--balance-cooldown=1")
    until(lambda: "crowded: 1 → 3 processes: 300 waiting" in balanced.output, balanced.output)
    assert sorted(shop.noted("crowd", 300)) == sorted(f"crowd {n}" for n in range(300))

    def told() -> bool:
        (seen,) = shop.jobs.scaling(queues=["crowded"], concurrency=1)
        assert seen.connection == connection
        return seen.service is not None and seen.pending == 0

    until(told)
    assert "Horizon is running" in shop.run("horizon:status")
    assert "crowded: " in shop.run("horizon:supervisors")
    until(lambda: "crowded: 2 → 1 process" in balanced.output, balanced.output)
    balanced.stop()
    balanced.ended()
    assert len(shop.ledger("crowd")) == 300
