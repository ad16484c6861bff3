"""Starting a job by a request: 202 in Starlette and FastAPI, and its Idempotency-Key."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from tabur import ConfigError, FunctionJob, IdempotencyConflict, Tabur
from tabur.web import accepted, idempotency_conflict, idempotency_key, status_app
from tests.web.support import who_asks

Import = FunctionJob[[int], None]
OWNER = {"x-tenant": "acme", "x-user": "7"}


def test_fastapi_answers_202_and_the_job_is_found_there(jobs: Tabur, acme: Import) -> None:
    app = FastAPI()
    router = APIRouter(prefix="/v1")

    @router.post("/imports", status_code=202)
    def start(request: Request, rows: int, x_user: Annotated[str, Header()]) -> Response:
        return accepted(acme.dispatch(rows), request, message="Your import has started.")

    app.include_router(router)
    app.mount("/api/jobs", status_app(jobs, owner=who_asks))
    client = TestClient(app, headers=OWNER)

    answer = client.post("/v1/imports?rows=5")

    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    body = answer.json()
    check_url = f"/api/jobs/{body['data']['job_id']}"
    assert body == {
        "success": True,
        "message": "Your import has started.",
        "data": {
            "job_id": body["data"]["job_id"],
            "status": "pending",
            "check_url": check_url,
        },
    }
    assert answer.headers["location"] == check_url
    assert client.get(check_url).json()["status"] == "pending"


@pytest.mark.parametrize("root_path", ["", "/shop"])
def test_starlette_finds_the_mount_in_nested_apps_and_behind_a_prefix(
    jobs: Tabur, acme: Import, root_path: str
) -> None:
    async def start(request: Request) -> Response:
        return accepted(await acme.dispatch_async(1), request)

    inner = Starlette(
        routes=[
            Route("/imports", start, methods=["POST"]),
            Mount("/jobs", status_app(jobs, owner=who_asks)),
        ]
    )
    app = Starlette(routes=[Mount("/api", inner)])
    client = TestClient(app, headers=OWNER, root_path=root_path)

    answer = client.post(
        f"{root_path}/api/imports", headers={"Accept-Language": "de;q=0.5, ar-IQ;q=0.9"}
    )

    location = answer.headers["location"]
    assert location.startswith(f"{root_path}/api/jobs/")
    assert answer.json()["message"].startswith("قُبل")
    assert client.get(location).status_code == 200


def test_the_place_may_be_said(acme: Import) -> None:
    handle = acme.dispatch(1)

    relative = accepted(handle, "/api/jobs/")
    absolute = accepted(handle, "https://shop.example/jobs")

    assert relative.headers["location"] == f"/api/jobs/{handle.id}"
    assert absolute.headers["location"] == f"https://shop.example/jobs/{handle.id}"


def test_without_a_mounted_status_app_the_programmer_is_told(jobs: Tabur, acme: Import) -> None:
    def start(request: Request) -> Response:
        return accepted(acme.dispatch(1), request)

    routes = [Route("/imports", start, methods=["POST"])]
    other = Tabur(connection="memory")
    two = [
        Mount("/a", status_app(jobs, owner=who_asks)),
        Mount("/b", status_app(other, owner=who_asks)),
    ]

    with pytest.raises(ConfigError, match="Mount it"):
        TestClient(Starlette(routes=routes)).post("/imports")
    with pytest.raises(ConfigError, match="/a, /b"):
        TestClient(Starlette(routes=[*routes, *two])).post("/imports")


def test_an_idempotency_key_leads_to_one_job_and_a_changed_body_to_422(
    jobs: Tabur, acme: Import
) -> None:
    app = FastAPI()
    app.add_exception_handler(IdempotencyConflict, idempotency_conflict)
    app.mount("/api/jobs", status_app(jobs, owner=who_asks))

    @app.post("/imports")
    def start(request: Request, rows: int) -> Response:
        key = idempotency_key(request)
        return accepted(acme.options(idempotency_key=key).dispatch(rows), request)

    client = TestClient(app, headers=OWNER)

    def post(rows: int, key: str | None) -> tuple[int, str]:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = client.post(f"/imports?rows={rows}", headers=headers)
        return answer.status_code, answer.json().get("data", {}).get("job_id", "")

    first = post(1, "k-1")
    assert first[0] == 202
    assert post(1, "k-1") == first
    assert post(1, '"k-1"') == first
    assert post(1, "k-2")[1] != first[1]
    assert post(1, None)[1] != post(1, None)[1]
    conflict = client.post("/imports?rows=2", headers={"Idempotency-Key": "k-1"})
    assert conflict.status_code == 422
    assert conflict.json()["success"] is False


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "ключ"])
def test_an_idempotency_key_that_cannot_be_one_is_refused(key: str) -> None:
    def echo(request: Request) -> Response:
        return Response(idempotency_key(request))

    client = TestClient(Starlette(routes=[Route("/", echo)]))

    answer = client.get("/", headers={b"Idempotency-Key": key.encode()})

    assert answer.status_code == 400
