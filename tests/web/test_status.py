"""The status contract: what the owner of a job reads, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from tabur import FunctionJob, JobContext, JobStatus, Progress, State, Tabur
from tabur.model.codec import describe
from tabur.model.records import ErrorInfo
from tabur.web.representation import eta_seconds
from tests.web.support import Hand, host

FIELDS = {
    "job_id", "status", "cancelling", "progress", "done", "total", "unit", "message",
    "eta_seconds", "attempt", "warnings", "created_at", "started_at", "finished_at",
    "result_url", "result", "error",
}  # fmt: skip
Import = FunctionJob[[int], None]


def test_a_waiting_job_is_pending_and_says_when_to_ask_again(
    client: TestClient, acme: Import
) -> None:
    handle = acme.dispatch(1200)

    answer = client.get(f"/api/jobs/{handle.id}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["retry-after"] == "1"
    body = answer.json()
    assert set(body) == FIELDS
    assert body["job_id"] == handle.id
    assert body["status"] == "pending"
    assert body["cancelling"] is False
    assert body["progress"] is None
    assert body["started_at"] is None
    assert datetime.fromisoformat(body["created_at"]).tzinfo is not None


def test_a_scheduled_job_is_shown_as_pending(client: TestClient, acme: Import) -> None:
    handle = acme.options(delay=timedelta(hours=1)).dispatch(1)

    assert handle.status().state is State.SCHEDULED
    assert client.get(f"/api/jobs/{handle.id}").json()["status"] == "pending"


def test_progress_is_counted_and_has_percent_only_with_a_total(
    client: TestClient, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1200)
    hand.claim(handle)
    hand.progress(handle, 540, unit="products")
    counted = client.get(f"/api/jobs/{handle.id}").json()
    hand.progress(handle, 540, 1200, unit="products", message="Reading", warnings=3)
    measured = client.get(f"/api/jobs/{handle.id}").json()

    assert (counted["status"], counted["attempt"]) == ("processing", 1)
    assert (counted["done"], counted["total"], counted["progress"]) == (540, None, None)
    assert (measured["done"], measured["total"], measured["progress"]) == (540, 1200, 45)
    assert (measured["unit"], measured["message"], measured["warnings"]) == (
        "products",
        "Reading",
        3,
    )


def test_a_completed_job_gives_its_result_and_no_retry_after(
    client: TestClient, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.attach(handle, b"row,reason\n", name="rejected.csv")
    hand.end(handle, result={"imported": 1188}, progress=Progress(1200, 1200, warnings=12))

    answer = client.get(f"/api/jobs/{handle.id}")

    assert "retry-after" not in answer.headers
    body = answer.json()
    assert (body["status"], body["progress"], body["warnings"]) == ("completed", 100, 12)
    assert body["result"] == {"imported": 1188}
    assert body["result_url"] == f"/api/jobs/{handle.id}/attachments/1"
    assert body["finished_at"] >= body["started_at"] >= body["created_at"]


def test_what_has_not_changed_is_answered_304(client: TestClient, acme: Import, hand: Hand) -> None:
    handle = acme.dispatch(1)
    url = f"/api/jobs/{handle.id}"
    first = client.get(url)
    tag = first.headers["etag"]

    same = client.get(url, headers={"If-None-Match": tag})
    compressed_by_a_proxy = client.get(url, headers={"If-None-Match": f'"other", W/{tag}'})
    hand.claim(handle)
    moved = client.get(url, headers={"If-None-Match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == tag
    assert same.headers["cache-control"] == "private, no-cache"
    assert compressed_by_a_proxy.status_code == 304
    assert moved.status_code == 200
    assert moved.headers["etag"] != tag


def test_an_error_is_shown_in_words_for_users_and_never_as_it_was_raised(
    client: TestClient, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    try:
        raise RuntimeError("connect to postgres://shop:hunter2@10.0.0.5 failed")
    except RuntimeError as error:
        hand.end(handle, State.FAILED, error=describe(error))

    answer = client.get(f"/api/jobs/{handle.id}")
    arabic = client.get(f"/api/jobs/{handle.id}?lang=ar")

    assert answer.json()["status"] == "failed"
    assert handle.id in answer.json()["error"]
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert arabic.json()["error"].startswith("تعذّر")


def test_what_ctx_fail_was_told_is_shown_as_it_is(
    client: TestClient, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.end(handle, State.FAILED, error=_of_ctx_fail("Column “price” is missing in line 1."))

    body = client.get(f"/api/jobs/{handle.id}").json()

    assert body["error"] == "Column “price” is missing in line 1."


def test_the_application_may_word_errors_itself(jobs: Tabur, acme: Import, hand: Hand) -> None:
    def words(status: JobStatus, language: str) -> str | None:
        assert status.error is not None
        return f"{language}: too slow" if status.error.type == "TimedOut" else None

    handle = acme.options(locale="ar").dispatch(1)
    hand.claim(handle)
    hand.end(handle, State.FAILED, error=ErrorInfo("TimedOut", "after 60 s"))
    client = TestClient(host(jobs, error_text=words), headers={"x-tenant": "acme", "x-user": "7"})

    assert client.get(f"/api/jobs/{handle.id}").json()["error"] == "ar: too slow"


def test_cancel_calls_back_what_waits_and_asks_what_runs(
    client: TestClient, acme: Import, hand: Hand
) -> None:
    waiting, running = acme.dispatch(1), acme.dispatch(2)
    called_back = client.post(f"/api/jobs/{waiting.id}/cancel", headers={"X-Requested-With": "x"})
    hand.claim(running)
    asked = client.post(f"/api/jobs/{running.id}/cancel", headers={"X-Requested-With": "x"})
    again = client.post(f"/api/jobs/{waiting.id}/cancel", headers={"X-Requested-With": "x"})

    assert called_back.status_code == 202
    assert called_back.json()["data"] == {
        "job_id": waiting.id,
        "status": "cancelled",
        "cancelling": False,
        "check_url": f"/api/jobs/{waiting.id}",
    }
    assert asked.status_code == 202
    assert asked.json()["data"]["cancelling"] is True
    assert client.get(f"/api/jobs/{running.id}").json()["cancelling"] is True
    assert again.status_code == 409
    assert again.json()["success"] is False


def test_retry_is_for_failed_jobs_whose_declaration_allows_it(
    jobs: Tabur, client: TestClient, acme: Import, hand: Hand
) -> None:
    @jobs.job()
    def pay_salaries() -> None: ...

    def retry(job_id: str) -> int:
        headers = {"X-Requested-With": "x"}
        return client.post(f"/api/jobs/{job_id}/retry", headers=headers).status_code

    failed, waiting = acme.dispatch(1), acme.dispatch(2)
    hand.claim(failed)
    hand.end(failed, State.FAILED, error=ErrorInfo("ValueError", "no"))
    strict = pay_salaries.options(tenant="acme", user="7", priority=9).dispatch()
    hand.claim(strict)
    hand.end(strict, State.FAILED, error=ErrorInfo("ValueError", "no"))

    assert client.get(f"/api/jobs/{failed.id}").headers["tabur-actions"] == "retry"
    assert client.get(f"/api/jobs/{strict.id}").headers["tabur-actions"] == ""
    assert client.get(f"/api/jobs/{waiting.id}").headers["tabur-actions"] == "cancel"
    assert retry(waiting.id) == 409
    assert retry(strict.id) == 403
    assert retry(failed.id) == 202
    assert failed.status().state is State.PENDING
    assert retry(failed.id) == 409


def test_a_job_of_another_process_that_is_unknown_here_is_not_retried(
    jobs: Tabur, client: TestClient, acme: Import, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.end(handle, State.FAILED, error=ErrorInfo("ValueError", "no"))
    monkeypatch.setattr(jobs.registry, "_by_name", {})

    headers = {"X-Requested-With": "x"}
    assert client.post(f"/api/jobs/{handle.id}/retry", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("done", "total", "elapsed", "expected"),
    [
        (0, 100, 60, None),  # nothing to go by
        (4, 100, 9, None),  # neither 5 % nor 10 s
        (5, 100, 3, 60),  # 57 s
        (1, 100, 10, 1020),  # 990 s
        (99, 100, 60, 5),  # 0.6 s: never a false precision
        (100, 100, 60, 0),
        (1, 1000, 100, 100_200),
        (50, None, 60, None),
    ],
)
def test_the_time_left_is_told_late_and_rounded(
    done: int, total: int | None, elapsed: float, expected: int | None
) -> None:
    now = datetime.now(UTC)
    status = JobStatus(
        id="", name="", connection="", queue="", state=State.PROCESSING, cancelling=False,
        attempt=1, progress=Progress(done, total), created_at=now, due_at=None,
        started_at=now - timedelta(seconds=elapsed), finished_at=None, result=None, error=None,
        tenant=None, user=None, locale=None,
    )  # fmt: skip

    assert eta_seconds(status, now) == expected


def _of_ctx_fail(words: str) -> ErrorInfo:
    """The error that a job leaves which calls `ctx.fail(words)`."""
    jobs = Tabur(connection="memory")

    @jobs.job()
    def give_up(ctx: JobContext) -> None:
        ctx.fail(words)

    try:
        give_up().run()
    except BaseException as ended:
        return describe(ended.error if hasattr(ended, "error") else ended)
    raise AssertionError("ctx.fail() returned")
