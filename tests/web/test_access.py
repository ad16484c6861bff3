"""Who may see a job: its owner and the bearer of a read token, and nobody by accident."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from tabur import ConfigError, FunctionJob, Owner, Tabur
from tabur.model.records import ErrorInfo
from tabur.model.states import State
from tabur.web import read_token
from tests.web.support import Hand, host

Import = FunctionJob[[int], None]
X = {"X-Requested-With": "x"}


def test_a_strangers_job_and_an_unknown_one_are_answered_alike(
    client: TestClient, stranger: TestClient, nobody: TestClient, acme: Import
) -> None:
    handle = acme.dispatch(1)
    unknown = client.get(f"/api/jobs/{uuid4()}")

    assert client.get(f"/api/jobs/{handle.id}").status_code == 200
    assert unknown.status_code == 404
    assert unknown.json()["success"] is False
    for who in (stranger, nobody):
        for path in ("", "/events", "/attachments/1", "?token=", "?token=1.x"):
            answer = who.get(f"/api/jobs/{handle.id}{path}")
            assert (answer.status_code, answer.content) == (404, unknown.content)
            assert dict(answer.headers) == dict(unknown.headers)
        for action in ("cancel", "retry"):
            answer = who.post(f"/api/jobs/{handle.id}/{action}", headers=X)
            assert (answer.status_code, answer.content) == (404, unknown.content)
    assert handle.status().state is State.PENDING


def test_the_store_is_asked_as_much_for_an_unknown_job_as_for_a_strangers(
    jobs: Tabur, stranger: TestClient, acme: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    inspection = jobs.driver.inspection

    def counted(name: str, verb: Any) -> Any:
        def ask(job_id: bytes) -> Any:
            asked.append(name)
            return verb(job_id)

        return ask

    for name in ("find", "attachments"):
        monkeypatch.setattr(inspection, name, counted(name, getattr(inspection, name)))

    def questions(job_id: object) -> list[str]:
        asked.clear()
        assert stranger.get(f"/api/jobs/{job_id}").status_code == 404
        return list(asked)

    assert questions(acme.dispatch(1).id) == questions(uuid4()) == ["find", "attachments"]


@pytest.mark.parametrize("nonsense", ["x", "1", "%00", "..%2F..%2Fetc", "a" * 5000, "static"])
def test_what_is_no_id_is_404(client: TestClient, nonsense: str) -> None:
    assert client.get(f"/api/jobs/{nonsense}").status_code == 404


def test_the_other_tenants_user_with_the_same_number_is_a_stranger(
    jobs: Tabur, acme: Import
) -> None:
    handle = acme.dispatch(1)

    for owner in (Owner("other", "7"), Owner(None, "7"), Owner("acme", None), Owner("acme7", "")):
        client = TestClient(host(jobs, owner=lambda _, owner=owner: owner))
        assert client.get(f"/api/jobs/{handle.id}").status_code == 404


def test_a_job_without_an_owner_is_open_to_nobody(jobs: Tabur, import_products: Import) -> None:
    handle = import_products.dispatch(1)
    client = TestClient(host(jobs, owner=lambda _: Owner()))  # as from an empty session

    assert client.get(f"/api/jobs/{handle.id}").status_code == 404


def test_the_owner_may_be_found_by_a_coroutine_and_be_a_number(jobs: Tabur, acme: Import) -> None:
    async def who_asks(request: Request) -> Owner | None:
        return Owner("acme", 7)  # type: ignore[arg-type]  # as it comes from a database

    handle = acme.dispatch(1)
    client = TestClient(host(jobs, owner=who_asks))

    assert client.get(f"/api/jobs/{handle.id}").status_code == 200


def test_owner_may_refuse_in_its_own_way(jobs: Tabur, acme: Import) -> None:
    def who_asks(request: Request) -> Owner | None:
        raise HTTPException(401, "Please sign in.", headers={"WWW-Authenticate": "Bearer"})

    answer = TestClient(host(jobs, owner=who_asks)).get(f"/api/jobs/{acme.dispatch(1).id}")

    assert answer.status_code == 401
    assert answer.json() == {"success": False, "message": "Please sign in."}
    assert answer.headers["www-authenticate"] == "Bearer"


def test_there_is_no_status_app_without_an_owner(jobs: Tabur) -> None:
    from tabur.web import status_app

    with pytest.raises(TypeError, match="owner"):
        status_app(jobs)  # type: ignore[call-arg]  # the point


# read tokens


def test_a_token_opens_one_job_for_reading_only(
    jobs: Tabur, nobody: TestClient, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.attach(handle, b"a,b\n", name="rejected.csv")
    hand.end(handle, State.FAILED, error=ErrorInfo("ValueError", "no"))
    token = read_token(jobs, handle, expires=timedelta(days=7))

    status = nobody.get(f"/api/jobs/{handle.id}?token={token}")
    assert status.status_code == 200
    assert "tabur-actions" not in status.headers
    file = nobody.get(status.json()["result_url"])
    assert (file.status_code, file.content) == (200, b"a,b\n")
    assert file.headers["referrer-policy"] == "no-referrer"
    for action in ("cancel", "retry"):
        url = f"/api/jobs/{handle.id}/{action}?token={token}"
        assert nobody.post(url, headers=X).status_code == 404


def test_a_token_for_another_job_or_changed_in_any_place_opens_nothing(
    jobs: Tabur, nobody: TestClient, acme: Import
) -> None:
    handle, other = acme.dispatch(1), acme.dispatch(2)
    token = read_token(jobs, handle.id, expires=timedelta(hours=1))
    until, signature = token.split(".")
    tampered = [
        f"{int(until) + 1}.{signature}",
        f"0{until}.{signature}",
        f"{until}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        f"{until}.{signature[::-1]}",
        f"{until}.",
        signature,
        f"{'9' * 400}.{signature}",
        f"{until}.{signature}\n",
        "١٢٣." + signature,
        token.upper(),
    ]

    assert nobody.get(f"/api/jobs/{handle.id}?token={token}").status_code == 200
    assert nobody.get(f"/api/jobs/{other.id}?token={token}").status_code == 404
    for each in tampered:
        answer = nobody.get(f"/api/jobs/{handle.id}", params={"token": each})
        assert answer.status_code == 404, each


def test_a_token_of_an_app_with_another_key_opens_nothing(nobody: TestClient, acme: Import) -> None:
    handle = acme.dispatch(1)
    foreign = Tabur(connection="memory", key="another secret")
    token = read_token(foreign, handle.id, expires=timedelta(hours=1))

    assert nobody.get(f"/api/jobs/{handle.id}?token={token}").status_code == 404


def test_an_expired_token_says_so_and_the_owner_gets_in_all_the_same(
    jobs: Tabur,
    client: TestClient,
    nobody: TestClient,
    acme: Import,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle = acme.dispatch(1)
    token = read_token(jobs, handle, expires=timedelta(minutes=1))
    late = time.time() + 61
    monkeypatch.setattr("tabur.web.tokens.time.time", lambda: late)

    answer = nobody.get(f"/api/jobs/{handle.id}?token={token}")

    assert answer.status_code == 403
    assert "expired" in answer.json()["message"]
    assert client.get(f"/api/jobs/{handle.id}?token={token}").status_code == 200


def test_without_a_key_no_token_is_made_and_none_is_good(acme: Import, jobs: Tabur) -> None:
    handle = acme.dispatch(1)
    token = read_token(jobs, handle, expires=timedelta(hours=1))
    keyless = Tabur(connection="memory")

    with pytest.raises(ConfigError, match="TABUR_KEY"):
        read_token(keyless, handle, expires=timedelta(hours=1))
    with pytest.raises(ConfigError, match="expires"):
        read_token(jobs, handle, expires=timedelta(0))
    client = TestClient(host(keyless))
    assert client.get(f"/api/jobs/{handle.id}?token={token}").status_code == 404


# CSRF


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"X-Requested-With": "XMLHttpRequest"}, True),
        ({"Sec-Fetch-Site": "same-site", "X-Requested-With": "x"}, True),
        ({"Authorization": "Bearer abc", "Sec-Fetch-Site": "cross-site"}, True),
        ({}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "X-Requested-With": "x"}, False),
        ({"Authorization": "Basic dXNlcjpwdw=="}, False),
    ],
)
def test_only_this_sites_pages_may_change_something(
    client: TestClient, acme: Import, headers: dict[str, str], allowed: bool
) -> None:
    handle = acme.dispatch(1)

    for action in ("retry", "cancel"):
        answer = client.post(f"/api/jobs/{handle.id}/{action}", headers=headers)
        assert (answer.status_code != 403) is allowed
    assert (handle.status().state is State.CANCELLED) is allowed


def test_a_change_is_never_made_by_get(client: TestClient, acme: Import) -> None:
    handle = acme.dispatch(1)

    answer = client.get(f"/api/jobs/{handle.id}/cancel")

    assert answer.status_code == 405
    assert answer.json()["success"] is False
    assert "POST" in answer.headers["allow"]
    assert handle.status().state is State.PENDING
