"""What several connections share: the status page, the attachments, a move among workers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from servers.redis import RedisServer
from tabur import JobContext, Tabur
from tabur.config import ConnectionName
from tabur.drivers.contract import Driver
from tabur.maintenance.retention import sweep
from tabur.operations.moving import Moving
from tabur.worker.inline import drain
from tests.connections.stores import size
from tests.web.support import host


def test_the_status_page_finds_a_job_on_either(app: Tabur) -> None:
    @app.job()
    def work() -> None: ...

    client = TestClient(
        host(app), headers={"x-tenant": "acme", "x-user": "7", "x-requested-with": "x"}
    )
    names: list[ConnectionName] = ["memory", "database"]
    for connection in names:
        configured = work.options(tenant="acme", user="7")
        handle = configured.options(connection=connection).dispatch()
        assert client.get(f"/api/jobs/{handle.id}").json()["status"] == "pending"
        assert client.post(f"/api/jobs/{handle.id}/cancel").is_success
        assert handle.status().state == "cancelled"


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_strangers_job_is_looked_for_as_much_as_one_that_nobody_knows(
    app: Tabur, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @app.job()
    def work() -> None: ...

    stranger = TestClient(
        host(app), headers={"x-tenant": "acme", "x-user": "8", "x-requested-with": "x"}
    )
    asked: Counter[str] = Counter()
    for driver in app.drivers:
        for verb_asked in ("find", "attachments"):
            _count(driver, verb_asked, asked, monkeypatch)

    def questions(job_id: object) -> Counter[str]:
        asked.clear()
        path = f"/api/jobs/{job_id}" + ("/cancel" if verb == "POST" else "")
        assert stranger.request(verb, path).status_code == 404
        return asked.copy()

    handle = work.options(tenant="acme", user="7").dispatch()
    assert questions(handle.id) == questions(uuid4())


def _count(driver: Driver, verb: str, asked: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = getattr(driver.inspection, verb)

    def ask(job_id: bytes) -> object:
        asked[verb] += 1
        return answer(job_id)

    monkeypatch.setattr(driver.inspection, verb, ask)


def test_files_of_a_job_on_another_connection_are_kept(tmp_path: Path) -> None:
    app = Tabur(
        connection="memory",
        connections=["database"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
        attachments=tmp_path / "attachments",
    )
    app.migrate()

    @app.job(connection="database")
    def report(ctx: JobContext) -> None:
        ctx.attach(b"rows", name="report.csv")

    handle = report.dispatch()
    drain(app.runtime_of("database"))
    os.utime(app.settings.attachments / handle.id, (1, 1))
    assert sweep(app.drivers, app.settings) == 0
    assert handle.status().attachments
    app.close()


def test_a_move_among_workers_loses_and_doubles_nothing(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    app = Tabur(
        connection="redis",
        connections=["database"],
        database_url=f"sqlite:///{tmp_path}/jobs.sqlite3",
        redis_url=redis_server.url(),
        redis_prefix=tmp_path.name,
    )
    app.migrate()
    ran: Counter[int] = Counter()
    lock = threading.Lock()

    @app.job()
    def work(n: int) -> None:
        with lock:
            ran[n] += 1

    configured = work.options(connection="database")
    app.dispatch_many(configured(n) for n in range(3000))
    over = threading.Event()

    def worker(connection: str) -> None:
        while not over.is_set() or size(app, connection):
            drain(app.runtime_of(connection))

    threads = [threading.Thread(target=worker, args=(name,)) for name in app.connections]
    for thread in threads:
        thread.start()
    moved = Moving(app.driver_of("database"), app.driver_of("redis")).run().moved
    over.set()
    for thread in threads:
        thread.join()
    assert ran == Counter(range(3000))
    assert moved > 0
    assert (size(app, "database"), size(app, "redis")) == (0, 0)
    app.close()


@pytest.mark.parametrize(
    ("package", "settings", "extra"),
    [
        ("redis", "connection='redis'", "tabur[redis]"),
        (
            "psycopg",
            "connection='memory', outbox_url='postgresql+asyncpg://u:secret@h/d'",
            "tabur[postgres]",
        ),
        ("pymysql", "connection='memory', outbox_url='mysql://u:secret@h/d'", "tabur[mysql]"),
    ],
)
def test_a_missing_client_library_is_named_with_its_extra(
    package: str, settings: str, extra: str
) -> None:
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"from tabur import ConfigError, Tabur\n"
        f"try:\n    Tabur({settings}).migrate()\n"
        f"except ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert f'pip install "{extra}"' in done.stdout
    assert "secret" not in done.stdout
