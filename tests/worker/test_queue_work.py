"""`tabur queue:work` as a process: how it begins, ends, and runs jobs to their end."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tabur import JobFailed, State
from tests.worker.workshop import Workshop, reaches, until

# how long it works


def test_once_runs_one_job(shop: Workshop) -> None:
    for n in range(3):
        shop.module.quick.dispatch(n=n)
    shop.worker("--once", "--processes=4").ended()
    assert shop.ledger() == ["quick 0"]


def test_once_with_nothing_to_do_ends(shop: Workshop) -> None:
    shop.worker("--once").ended()


def test_until_nothing_is_left(shop: Workshop) -> None:
    shop.jobs.dispatch_many(shop.module.quick(n=n) for n in range(30))
    shop.jobs.dispatch_many(shop.module.light(n=n) for n in range(30))
    worker = shop.work("--processes=2")
    assert sorted(shop.ledger("quick")) == sorted(f"quick {n}" for n in range(30))
    assert len(shop.ledger("light")) == 30
    assert worker.output.count(" DONE") == 60
    assert "Processing jobs from the [default] queue." in worker.output
    assert shop.children() == []


def test_so_many_jobs(shop: Workshop) -> None:
    for n in range(5):
        shop.module.quick.dispatch(n=n)
    shop.worker("--max-jobs=3").ended()
    assert sorted(shop.ledger()) == ["quick 0", "quick 1", "quick 2"]


def test_so_long(shop: Workshop) -> None:
    worker = shop.worker("--max-time=1")
    shop.module.quick.dispatch()
    worker.ended()
    assert shop.ledger() == ["quick 0"]


def test_a_process_that_grew_is_replaced_and_its_jobs_are_not_harmed(shop: Workshop) -> None:
    worker = shop.worker("--memory=150")
    shop.module.fat.dispatch()
    child = until(shop.children)[0].pid
    handle = shop.module.patient.dispatch(seconds=2.0)
    until(lambda: [each.pid for each in shop.children()] not in ([], [child]))
    reaches(handle, State.COMPLETED)
    assert shop.ledger("patient ") == ["patient 1"]
    shop.module.quick.dispatch()
    shop.noted("quick")
    worker.stop()
    worker.ended()


# queues


def test_queues_in_strict_order(shop: Workshop) -> None:
    for n in range(3):
        shop.module.quick.dispatch(n=n)
    for n in range(3):
        shop.module.urgent.dispatch(n=n)
    shop.work("--queue=high,default", "--concurrency=1")
    assert [line.split()[0] for line in shop.ledger()] == ["urgent"] * 3 + ["quick"] * 3


def test_other_queues_are_left_alone(shop: Workshop) -> None:
    handle = shop.module.urgent.dispatch()
    worker = shop.work("--queue=low")
    assert handle.status().state is State.PENDING
    assert "no job of this app declares the queue 'low'" in worker.output


def test_priority_before_order(shop: Workshop) -> None:
    shop.module.quick.dispatch(n=1)
    shop.module.quick.options(priority=5).dispatch(n=2)
    shop.work("--concurrency=1")
    assert shop.ledger() == ["quick 2", "quick 1"]


# ends


def test_retries_wait_as_they_should(shop: Workshop) -> None:
    handle = shop.module.flaky.dispatch()
    worker = shop.worker()
    assert handle.wait(40) == 3
    moments = [float(line.split()[2]) for line in shop.ledger("flaky")]
    assert moments[1] - moments[0] >= 0.1
    assert moments[2] - moments[1] >= 0.6
    until(lambda: "DONE" in worker.output)
    assert worker.output.count("FAIL") == 2
    assert "ValueError: attempt 1" in worker.output


def test_the_worker_says_how_often_where_the_job_does_not(shop: Workshop) -> None:
    handle = shop.module.plain_failure.dispatch()
    shop.worker("--tries=3", "--backoff=0.1,0.3")
    with pytest.raises(JobFailed, match="as always"):
        handle.wait(40)
    moments = [float(line.split()[1]) for line in shop.ledger("plain_failure")]
    assert len(moments) == 3
    assert moments[1] - moments[0] >= 0.1
    assert moments[2] - moments[1] >= 0.3


def test_release_fail_and_the_failed_hook(shop: Workshop) -> None:
    released = shop.module.releases.dispatch()
    gave_up = shop.module.gives_up.dispatch()
    hooked = shop.module.Hooked(text="broken").dispatch()
    worker = shop.worker("-v")
    assert released.wait(40) == 2
    first, second = (float(line.split()[2]) for line in shop.ledger("releases"))
    assert second - first >= 0.5
    reaches(gave_up, State.FAILED)
    reaches(hooked, State.FAILED)
    error = gave_up.status().error
    assert error is not None
    assert error.message == "no stock left"
    assert shop.ledger("gives_up") == ["gives_up"]
    assert shop.ledger("failed()") == ["failed() broken ValueError 2"]
    until(lambda: "RELEASED" in worker.output)
    assert f"{released.id} database default" in worker.output


def test_what_expires_is_not_started(shop: Workshop) -> None:
    late = datetime.now(UTC) + timedelta(milliseconds=1)
    handle = shop.module.quick.options(expires=late).dispatch()
    shop.work()
    error = handle.status().error
    assert handle.status().state is State.FAILED
    assert error is not None
    assert error.type.endswith("JobExpired")
    assert shop.ledger() == []


def test_a_delayed_job_runs_when_its_time_has_come(shop: Workshop) -> None:
    began = time.monotonic()
    handle = shop.module.quick.options(delay=1.5).dispatch()
    shop.worker()
    handle.wait(40)
    assert time.monotonic() - began >= 1.5


# cancelling


@pytest.mark.parametrize("job", ["patient", "patient_alone"])
def test_a_running_job_is_called_back(shop: Workshop, job: str) -> None:
    handle = getattr(shop.module, job).dispatch()
    shop.worker()
    shop.noted(job)
    assert handle.cancel()
    reaches(handle, State.CANCELLED)
    assert shop.ledger("patient-done") == []


# what a job leaves


@pytest.mark.parametrize("job", ["reports", "reports_alone"])
def test_progress_warnings_and_files_are_kept(shop: Workshop, job: str) -> None:
    handle = getattr(shop.module, job).dispatch()
    shop.work()
    status = handle.status()
    rows = handle.result()["rows"]
    assert (status.progress.done, status.progress.total, status.progress.unit) == (
        rows,
        rows,
        "rows",
    )
    assert status.progress.percent == 100
    assert status.progress.warnings == 1
    (file,) = status.attachments
    assert shop.jobs.attachment_path(file.path).read_bytes().startswith(b"a;b\n")
    assert file.name in ("rejected.csv", "made.csv")


def test_whom_it_belongs_to_goes_along_and_on_to_what_it_dispatches(shop: Workshop) -> None:
    with shop.jobs.scope(tenant="acme", user="7", locale="ar"):
        shop.module.whose.dispatch()
    shop.work("--queue=default,children")
    assert shop.ledger("whose") == ["whose acme 7 ar"] * 2


# what it prints


def test_json_lines(shop: Workshop) -> None:
    done = shop.module.quick.dispatch()
    failed = shop.module.gives_up.dispatch()
    worker = shop.work("--json")
    lines = [json.loads(line) for line in worker.output.splitlines()]
    by_id = {
        job_id: [line for line in lines if line["id"] == job_id] for job_id in (done.id, failed.id)
    }
    assert [line["status"] for line in by_id[done.id]] == ["starting", "success"]
    assert [line["status"] for line in by_id[failed.id]] == ["starting", "failed"]
    ended = by_id[failed.id][1]
    assert ended["level"] == "error"
    assert (ended["exception"], ended["message"]) == ("tabur.GaveUp", "no stock left")
    assert ended["duration"] >= 0
    assert (ended["connection"], ended["queue"], ended["attempts"]) == ("database", "default", 1)


def test_quiet_prints_nothing(shop: Workshop) -> None:
    shop.module.quick.dispatch()
    worker = shop.work("--quiet", "--daemon", "--force", "--name=night")
    assert worker.output == ""
    assert shop.ledger() == ["quick 0"]
