"""A worker in the test's own hand, a host application, and a server on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from tabur import JobHandle, Owner, Progress, State, Tabur
from tabur.drivers.contract import Exchange, ProgressWrite
from tabur.model.clock import now_us
from tabur.model.ids import id_bytes, new_token
from tabur.model.outcome import Ending, Transition
from tabur.model.records import Attachment, ClaimedJob, ErrorInfo
from tabur.model.states import Isolation
from tabur.web import status_app

ENDINGS = {
    State.COMPLETED: Ending.COMPLETED,
    State.FAILED: Ending.FAILED,
    State.CANCELLED: Ending.CANCELLED,
}


class Hand:
    """Does a worker's part step by step, through the contract that workers use."""

    def __init__(self, jobs: Tabur) -> None:
        self.jobs = jobs
        self._claims: dict[str, ClaimedJob] = {}
        self._started: dict[str, int] = {}

    def claim(self, handle: JobHandle[Any]) -> None:
        turn = Exchange(
            worker="hand",
            token=new_token(),
            queues=("default",),
            slots=dict.fromkeys(Isolation, 1),
        )
        for job in self.jobs.driver.claiming.exchange(turn).claimed:
            if job.id == id_bytes(handle.id):
                self._claims[handle.id] = job
                self._started[handle.id] = now_us()
                return
        raise AssertionError(f"{handle} was not there to be claimed")

    def progress(
        self, handle: JobHandle[Any], done: int, total: int | None = None, **more: Any
    ) -> None:
        claim = self._claims[handle.id]
        write = ProgressWrite(claim.id, claim.token, Progress(done, total, **more))
        self.jobs.driver.claiming.exchange(Exchange(worker="hand", progress=[write]))

    def attach(
        self,
        handle: JobHandle[Any],
        content: bytes,
        *,
        name: str,
        n: int = 1,
        media_type: str = "text/csv",
        path: str | None = None,
    ) -> None:
        relative = path or f"{handle.id}/{n}"
        if path is None:
            file = self.jobs.attachment_path(relative)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        claim = self._claims[handle.id]
        attachment = Attachment(n, name, len(content), media_type, relative)
        assert self.jobs.driver.claiming.attach(claim.id, claim.token, attachment)

    def end(
        self,
        handle: JobHandle[Any],
        state: State = State.COMPLETED,
        *,
        result: Any = None,
        error: ErrorInfo | None = None,
        progress: Progress | None = None,
    ) -> None:
        claim = self._claims.pop(handle.id)
        transition = Transition(
            id=claim.id,
            token=claim.token,
            to=state,
            ending=ENDINGS[state],
            attempts=claim.attempts + 1,
            exceptions=0,
            crashes=0,
            worker="hand",
            started_at=self._started[handle.id],
            ended_at=now_us(),
            result=None if result is None else msgspec.json.encode(result),
            error=error,
            progress=progress,
        )
        self.jobs.driver.claiming.exchange(Exchange(worker="hand", settle=[transition]))


def who_asks(request: Request) -> Owner | None:
    """The sign-in of these tests: two headers (or, for a browser, two cookies)."""
    user = request.headers.get("x-user") or request.cookies.get("user")
    tenant = request.headers.get("x-tenant") or request.cookies.get("tenant")
    return Owner(tenant, user) if user or tenant else None


def host(jobs: Tabur, **options: Any) -> Starlette:
    return Starlette(
        routes=[Mount("/api/jobs", status_app(jobs, **{"owner": who_asks, **options}))]
    )


@contextmanager
def served(app: Any) -> Iterator[str]:
    """`app` by a real server; the address without a slash at its end."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # from here on who connects waits, rather than being refused
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def sqlite(folder: Path) -> Tabur:
    jobs = Tabur(
        connection="database",
        database_url=f"sqlite:///{folder / 'jobs.sqlite3'}",
        key="a secret of these tests",
        attachments=folder / "attachments",
    )
    jobs.migrate()
    return jobs


def memory(folder: Path) -> Tabur:
    return Tabur(
        connection="memory", key="a secret of these tests", attachments=folder / "attachments"
    )
