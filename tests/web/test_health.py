"""What a probe is told of a web process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tabur import StoreUnavailable, Tabur
from tabur.model.clock import now_us
from tabur.model.records import WorkerRecord
from tabur.web import health_app

SECRET = "postgresql://shop:hunter2@db.internal/shop"


def mounted(jobs: Tabur, *, timeout: float = 3.0) -> Starlette:
    def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("a page")

    app = Starlette(routes=[Route("/page", page)])
    app.mount("/health", health_app(jobs, timeout=timeout))
    return app


@pytest.fixture
def client(jobs: Tabur) -> Iterator[TestClient]:
    with TestClient(mounted(jobs)) as client:
        yield client


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/ready"])
def test_ready_with_the_number_of_workers(jobs: Tabur, client: TestClient, path: str) -> None:
    assert client.get(path).json() == {"status": "ready", "workers": 0}
    jobs.driver.workers.register(WorkerRecord("db7.1", "db7", 1, now_us(), queues=("mail",)))
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "workers": 1}
    assert answer.headers["cache-control"] == "no-store"
    assert client.head("/health/ready").status_code == 200


def test_a_store_that_is_down_is_not_ready_and_alive(
    jobs: Tabur,
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as down:
        down.setattr(jobs.driver.workers, "list", _fails(StoreUnavailable(SECRET)))
        for _ in range(3):
            answer = client.get("/health/ready")
            assert answer.status_code == 503
            assert answer.json() == {"status": "not ready", "reason": "the store does not answer"}
        assert client.get("/health/live").json() == {"status": "live"}
        assert caplog.text.count("hunter2") == 1, "why is said to operators, once"
    assert client.get("/health/ready").status_code == 200


def test_what_nobody_expected_is_not_ready_either(
    jobs: Tabur, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.driver.workers, "list", _fails(RuntimeError(SECRET)))
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "the store cannot be asked"


def test_without_tables(tmp_path: Path) -> None:
    jobs = Tabur(database_url=f"sqlite:///{tmp_path}/jobs.sqlite3")
    answer = TestClient(mounted(jobs)).get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reason"] == "the tables are missing: tabur migrate"
    jobs.close()


def test_a_store_that_does_not_answer_holds_up_nobody_else(
    jobs: Tabur, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, asked = threading.Event(), threading.Semaphore(0)

    def hang() -> list[WorkerRecord]:
        asked.release()
        over.wait()
        return []

    with (
        TestClient(mounted(jobs, timeout=0.5)) as client,
        ThreadPoolExecutor(60) as many,
        monkeypatch.context() as down,
    ):
        try:
            down.setattr(jobs.driver.workers, "list", hang)
            answers = [many.submit(client.get, "/health/ready") for _ in range(60)]
            assert asked.acquire(timeout=20)
            assert client.get("/page").text == "a page"
            assert {each.result().status_code for each in answers} == {503}
            reason = answers[0].result().json()["reason"]
            assert reason == "the store has not answered within 0.5 s"
            assert not asked.acquire(blocking=False), "one look at a time"
        finally:
            over.set()


def test_of_failover_one_store_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Tabur(
        connection="failover",
        failover=["database", "memory"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
    )
    jobs.migrate()
    client = TestClient(mounted(jobs))
    first, second = (driver.workers for driver in jobs.drivers)
    monkeypatch.setattr(first, "list", _fails(StoreUnavailable("down")))
    assert client.get("/health/ready").status_code == 200
    monkeypatch.setattr(second, "list", _fails(StoreUnavailable("down")))
    assert client.get("/health/ready").status_code == 503
    jobs.close()


def test_each_store_in_use_has_to_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Tabur(database_url=f"sqlite:///{tmp_path}/jobs.sqlite3", connections=["memory"])
    jobs.migrate()
    client = TestClient(mounted(jobs))
    assert client.get("/health/ready").status_code == 200
    monkeypatch.setattr(jobs.drivers[1].workers, "list", _fails(StoreUnavailable("down")))
    assert client.get("/health/ready").status_code == 503
    jobs.close()


def _fails(error: Exception) -> object:
    def fail() -> list[WorkerRecord]:
        raise error

    return fail
