"""Reading and acting, on every store that an operator can look into."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tabur import State, Tabur
from tabur.errors import JobNotFound
from tabur.operations import reading as reading_module
from tabur.operations.acting import Acting
from tabur.operations.health import health, ignored_settings
from tabur.operations.reading import AmbiguousId, Reading, UnknownQueue
from tabur.worker.inline import drain


@pytest.fixture(params=["memory", "database"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tabur]:
    app = Tabur(
        connection=request.param,
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
        attachments=tmp_path / "attachments",
    )
    app.migrate()

    @app.job(queue="mail")
    def send(to: str) -> None:
        raise RuntimeError(to)

    @app.job(queue="files")
    def export() -> int:
        return 1

    yield app
    app.close()


def dispatch(app: Tabur, name: str, **arguments: str) -> str:
    from tabur.jobs.pending import PendingJob

    definition = app.registry.get(name)
    pending: PendingJob[object] = PendingJob(definition, arguments, app._sending)
    return pending.dispatch().id


def state(app: Tabur, job_id: str) -> State:
    return app.handle(job_id).status().state


@pytest.fixture
def failed(app: Tabur) -> list[str]:
    ids = [dispatch(app, "send", to=f"box {n}") for n in range(7)]
    drain(app.runtime)
    return ids


def test_failed_jobs_newest_first_however_many_pages(
    app: Tabur, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "PAGE", 3)
    reading = Reading(app.driver)
    assert [each.id for each in reading.failed()] == failed[::-1]
    assert [each.id for each in reading.failed(queue="mail")] == failed[::-1]
    assert list(reading.failed(queue="files")) == []
    assert reading.failed_count() == 7
    assert reading.failed_count(at_most=5) == 5
    newest = next(reading.failed())
    assert (newest.job, newest.exception, newest.message) == ("send", "RuntimeError", "box 6")


def test_retry_all_goes_through_every_page(
    app: Tabur, failed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "PAGE", 3)
    assert list(Acting(app.driver).retry_failed()) == failed[::-1]
    assert {state(app, each) for each in failed} == {State.PENDING}


def test_an_id_by_its_beginning(app: Tabur, failed: list[str]) -> None:
    reading = Reading(app.driver)
    for job_id in failed:
        assert reading.find(job_id).hex() == job_id.replace("-", "")
        assert reading.find(job_id.upper()).hex() == job_id.replace("-", "")
        assert reading.find(job_id[:-1]).hex() == job_id.replace("-", "")
    with pytest.raises(AmbiguousId, match="write more"):
        reading.find(failed[0][:5])
    for given in ("", "abc", "zzzzzzzz", "f" * 33, "ffffffff", failed[0][:-1] + "g"):
        with pytest.raises(JobNotFound):
            reading.find(given)


def test_only_what_has_failed_is_found_among_the_failed(app: Tabur) -> None:
    done = dispatch(app, "export")
    drain(app.runtime)
    reading = Reading(app.driver)
    assert reading.job(done[:30]).state is State.COMPLETED
    for given in (done, done[:30]):
        with pytest.raises(JobNotFound):
            reading.find(given, states=(State.FAILED,))
        with pytest.raises(JobNotFound):
            Acting(app.driver).forget(given)


def test_a_cancelled_job_can_be_retried(app: Tabur) -> None:
    job_id = dispatch(app, "export")
    app.handle(job_id).cancel()
    assert Acting(app.driver).retry(job_id) == job_id
    assert state(app, job_id) is State.PENDING


def test_a_job_with_its_history(app: Tabur, failed: list[str]) -> None:
    shown = Reading(app.driver).job(failed[0])
    assert shown.arguments == '{"to":"box 0"}'
    (attempt,) = shown.history
    assert attempt.ending == "failed"
    assert attempt.seconds is not None
    assert attempt.error is not None
    assert "RuntimeError: box 0" in attempt.error.traceback


def test_flush_by_age(app: Tabur, failed: list[str]) -> None:
    acting = Acting(app.driver)
    assert acting.flush(older_than=timedelta(hours=1)) == 0
    assert acting.flush() == len(failed)
    assert Reading(app.driver).failed_count() == 0


def test_levels_and_slips(app: Tabur) -> None:
    for _ in range(2):
        dispatch(app, "export")
    reading = Reading(app.driver)
    (files,) = reading.levels(["files"], threshold=2)
    assert (files.size, files.pending, files.status) == (2, 2, "ALERT")
    (mail,) = reading.levels(["mail"], threshold=2, declared=["mail"])
    assert (mail.size, mail.oldest_pending, mail.status) == (0, None, "OK")
    with pytest.raises(UnknownQueue, match="files, mail"):
        reading.levels(["mali"], threshold=2, declared=["mail"])
    assert Acting(app.driver).clear("files") == 2
    assert reading.queues() == []


def test_health_never_raises(app: Tabur, tmp_path: Path) -> None:
    seen = health(app.driver, threshold=1)
    assert seen.is_well
    dispatch(app, "export")
    seen = health(app.driver, threshold=1)
    assert seen.is_well is (app.connection == "memory")
    nowhere = Tabur(database_url=f"sqlite:///{tmp_path}/none.sqlite3")
    seen = health(nowhere.driver)
    assert not seen.is_well
    assert [each.todo for each in seen.problems] == ["tabur migrate"]
    (tmp_path / "text").write_text("no database at all\n" * 99, "utf-8")
    broken = Tabur(database_url=f"sqlite:///{tmp_path}/text")
    assert [each.level for each in health(broken.driver).problems] == ["error"]
    broken.close()


def test_a_full_queue_is_a_warning(app: Tabur) -> None:
    dispatch(app, "export")
    levels = [each.level for each in health(app.driver, threshold=1).problems]
    # In memory there can be no worker, and it is the connection that is warned of.
    assert levels == (["warning"] if app.connection == "memory" else ["error", "warning"])


def test_ignored_settings() -> None:
    given = {"REDIS_QUEUE_RETRY_AFTER": "90", "retry_after": "1", "PATH": "/bin"}
    notes = ignored_settings(given)
    assert [each.what.partition("=")[0] for each in notes] == list(given)[:2]
    assert {each.level for each in notes} == {"note"}
