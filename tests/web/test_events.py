"""Server-sent events, over a real server: each change once, until the end or the client's leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from tabur import FunctionJob, Progress, StoreUnavailable, Tabur
from tabur.drivers.contract import Filter
from tabur.web.events import StreamLimits
from tests.web.support import Hand, host, served

Import = FunctionJob[[int], None]
OWNER = {"x-tenant": "acme", "x-user": "7"}
QUICK = StreamLimits(at_most=2, pause=0.02, heartbeat=0.1, lasts=20)


@pytest.fixture
def address(jobs: Tabur) -> Iterator[str]:
    with served(host(jobs, streams=QUICK)) as address:
        yield address


def test_each_change_is_streamed_as_it_happens_and_the_end_ends_the_stream(
    address: str, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    with _stream(f"{address}/api/jobs/{handle.id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["cache-control"] == "private, no-cache"
        events = _events(answer)

        assert next(events)["data"]["status"] == "pending"
        hand.claim(handle)
        assert next(events)["data"]["status"] == "processing"
        hand.progress(handle, 540, 1200)
        assert next(events)["data"]["progress"] == 45
        hand.end(handle, progress=Progress(1200, 1200))
        last = next(events)
        assert last["data"]["status"] == "completed"
        assert next(events, None) is None

    headers = OWNER | {"Last-Event-ID": last["id"]}
    again = httpx2.get(f"{address}/api/jobs/{handle.id}/events", headers=headers)
    assert again.status_code == 204  # an EventSource does not come back after that


def test_who_comes_back_is_not_told_again_what_it_knows(
    address: str, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    url = f"{address}/api/jobs/{handle.id}/events"
    with _stream(url) as answer:
        seen = next(_events(answer))["id"]

    with _stream(url, {"Last-Event-ID": seen}) as answer:
        hand.claim(handle)
        assert next(_events(answer))["data"]["status"] == "processing"


def test_a_silent_stream_beats_and_ends_by_itself_after_a_while(jobs: Tabur, acme: Import) -> None:
    limits = StreamLimits(pause=0.02, heartbeat=0.05, lasts=0.2)
    handle = acme.dispatch(1)

    with served(host(jobs, streams=limits)) as address:
        text = httpx2.get(f"{address}/api/jobs/{handle.id}/events", headers=OWNER).text

    assert text.startswith("retry: 2000\n\nid: ")
    assert text.count("data: ") == 1
    assert 2 <= text.count(": still here\n\n") <= 4


def test_streams_are_bounded_and_a_client_that_leaves_makes_room(
    address: str, acme: Import
) -> None:
    handle = acme.dispatch(1)
    url = f"{address}/api/jobs/{handle.id}/events"

    with _stream(url) as one, _stream(url) as two:
        open_events = [_events(one), _events(two)]
        assert all(next(events) for events in open_events)
        third = httpx2.get(url, headers=OWNER)
        assert third.status_code == 503
        assert third.headers["retry-after"] == "5"
        assert third.json()["success"] is False

    assert _becomes(lambda: _status_of(url) == 200)


def test_a_middleware_that_wraps_responses_neither_holds_back_nor_leaks_streams(
    jobs: Tabur, acme: Import, hand: Hand
) -> None:
    async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)

    app = host(jobs, streams=StreamLimits(at_most=1, pause=0.02))
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    handle = acme.dispatch(1)
    with served(app) as address:
        url = f"{address}/api/jobs/{handle.id}/events"
        with _stream(url) as answer:
            events = _events(answer)
            assert next(events)["data"]["status"] == "pending"
            hand.claim(handle)
            assert next(events)["data"]["status"] == "processing"
        assert _becomes(lambda: _status_of(url) == 200)


def test_one_connection_looks_once_a_pause(
    jobs: Tabur, acme: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = acme.dispatch(1)
    looks: list[float] = []
    find = jobs.driver.inspection.find

    def counted(job_id: bytes) -> Any:
        looks.append(time.monotonic())
        return find(job_id)

    monkeypatch.setattr(jobs.driver.inspection, "find", counted)
    limits = StreamLimits(pause=0.1, heartbeat=9, lasts=0.45)
    with served(host(jobs, streams=limits)) as address:
        httpx2.get(f"{address}/api/jobs/{handle.id}/events", headers=OWNER)

    assert StreamLimits().pause == 1.0
    assert StreamLimits().heartbeat == 15.0
    assert 2 <= len(looks) <= 6
    assert all(later - sooner >= 0.09 for sooner, later in pairwise(looks))


def test_a_store_that_is_away_for_a_moment_does_not_end_the_stream(
    address: str, jobs: Tabur, acme: Import, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = acme.dispatch(1)
    with _stream(f"{address}/api/jobs/{handle.id}/events") as answer:
        events = _events(answer)
        next(events)
        with monkeypatch.context() as away:
            asked = []

            def find(job_id: bytes) -> Any:
                asked.append(job_id)
                raise StoreUnavailable("locked")

            away.setattr(jobs.driver.inspection, "find", find)
            assert _becomes(lambda: len(asked) >= 2)
        hand.claim(handle)
        assert next(events)["data"]["status"] == "processing"


def test_a_job_that_is_removed_ends_its_stream(
    address: str, jobs: Tabur, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    with _stream(f"{address}/api/jobs/{handle.id}/events") as answer:
        events = _events(answer)
        next(events)
        hand.claim(handle)
        next(events)
        hand.end(handle)
        jobs.driver.dispatching.forget(Filter())
        rest = [event["data"]["status"] for event in events]

    assert rest in ([], ["completed"])


def test_head_answers_without_a_stream(client: TestClient, acme: Import) -> None:
    answer = client.head(f"/api/jobs/{acme.dispatch(1).id}/events")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.content == b""


def _stream(url: str, headers: dict[str, str] | None = None) -> Any:
    return httpx2.stream("GET", url, headers=OWNER | (headers or {}), timeout=10)


def _status_of(url: str) -> int:
    with _stream(url) as answer:
        return int(answer.status_code)


def _events(answer: httpx2.Response) -> Iterator[dict[str, Any]]:
    """The events of a stream, read as they arrive (html.spec.whatwg.org, 9.2.6)."""
    event: dict[str, Any] = {}
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            event["id"] = value
        elif field == "data":
            event["data"] = msgspec.json.decode(value)
        elif not line and "data" in event:
            yield event
            event = {}


def _becomes(true: Callable[[], bool], *, within: float = 5) -> bool:
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        if true():
            return True
        time.sleep(0.02)
    return False
