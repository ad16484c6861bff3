"""Every error is JSON with a sentence, and none shows the inside."""

from __future__ import annotations

import subprocess
import sys

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from tabur import FunctionJob, JobNotFound, Owner, StoreUnavailable, Tabur
from tabur.web import status_app
from tabur.web.texts import ARABIC, ENGLISH, language
from tests.web.support import host, who_asks

Import = FunctionJob[[int], None]
OWNER = {"x-tenant": "acme", "x-user": "7"}


def test_a_store_out_of_reach_is_503(
    jobs: Tabur, client: TestClient, acme: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = acme.dispatch(1)

    def find(_: bytes) -> None:
        raise StoreUnavailable("/srv/secret/jobs.sqlite3 is locked")

    monkeypatch.setattr(jobs.driver.inspection, "find", find)
    answer = client.get(f"/api/jobs/{handle.id}")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert set(answer.json()) == {"success", "message"}
    assert "secret" not in answer.text


def test_a_bug_is_500_in_one_sentence_even_where_the_host_debugs(
    jobs: Tabur, acme: Import, caplog: pytest.LogCaptureFixture
) -> None:
    def who(request: Request) -> Owner | None:
        raise RuntimeError("hunter2")

    app = Starlette(debug=True)
    app.mount("/api/jobs", status_app(jobs, owner=who))

    answer = TestClient(app).get(f"/api/jobs/{acme.dispatch(1).id}")

    assert answer.status_code == 500
    assert answer.json()["success"] is False
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text  # for the operators


def test_a_job_removed_between_two_looks_is_404(
    jobs: Tabur, client: TestClient, acme: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = acme.dispatch(1)

    def cancel(_: bytes) -> None:
        raise JobNotFound(handle.id)

    monkeypatch.setattr(jobs.driver.dispatching, "cancel", cancel)
    answer = client.post(f"/api/jobs/{handle.id}/cancel", headers={"X-Requested-With": "x"})

    assert answer.status_code == 404


@pytest.mark.parametrize("mounted", [True, False])
def test_unknown_addresses_and_methods_are_json_too(jobs: Tabur, mounted: bool) -> None:
    client = TestClient(host(jobs) if mounted else status_app(jobs, owner=who_asks))
    base = "/api/jobs" if mounted else ""

    for method, path, status in (
        ("GET", "/", 404),
        ("GET", "/a/b/c", 404),
        ("GET", "/a/", 404),
        ("DELETE", "/a", 405),
        ("POST", "/a", 405),
        ("POST", "/static/job-progress.js", 405),
    ):
        answer = client.request(method, base + path, headers=OWNER)
        assert (answer.status_code, answer.json()["success"]) == (status, False)


def test_a_web_socket_is_refused(jobs: Tabur) -> None:
    client = TestClient(host(jobs))

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/jobs/1/events"):
        pass


@pytest.mark.parametrize(
    ("accepted", "locale", "expected"),
    [
        (None, None, "en"),
        ("ar-IQ,en;q=0.5", None, "ar"),
        ("de, en;q=0.1, ar;q=0.9", None, "ar"),
        ("ar;q=0, de", None, "en"),
        ("ar;q=nonsense,,;", "ar_IQ", "ar"),
        ("*", "ckb", "en"),
    ],
)
def test_sentences_come_in_the_language_asked_for(
    accepted: str | None, locale: str | None, expected: str
) -> None:
    assert language(accepted, locale) == expected


def test_both_languages_have_every_sentence() -> None:
    assert set(ENGLISH) == set(ARABIC)


def test_without_starlette_the_extra_is_named() -> None:
    program = "import sys; sys.modules['starlette'] = None; import tabur.web"

    run = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert run.returncode != 0
    assert "pip install 'tabur[web]'" in run.stderr.splitlines()[-1]
