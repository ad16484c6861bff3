"""The back office with its data on PostgreSQL, and its jobs there too or on Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from backoffice.http.app import create_app
from backoffice.kernel.settings import Settings
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.wiring import BackOffice, build
from servers.postgres import PostgresServer
from tests.backoffice.helpers import JSON, Shop, csv_file, many


@pytest.fixture(params=["database", "redis"])
def environment(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_server: PostgresServer
) -> dict[str, str]:
    """As somebody sets it who starts web and worker."""
    postgres_server.create_database(name := f"backoffice_{request.param}")
    environment = {
        "BACKOFFICE_VAR": str(tmp_path),
        "BACKOFFICE_SECRET": "a secret of the tests",
        "QUEUE_CONNECTION": request.param,
        "DATABASE_URL": f"postgresql://tabur@127.0.0.1:{postgres_server.port}/{name}",
    }
    if request.param == "redis":
        environment["REDIS_URL"] = request.getfixturevalue("redis_server").url(9)
    return environment


@pytest.fixture
def backoffice(environment: dict[str, str]) -> Iterator[BackOffice]:
    made = build(Settings.from_env(environment))
    made.provision()
    made.provision()  # safe to repeat
    yield made
    made.close()


def test_an_import_from_upload_to_notification(
    backoffice: BackOffice, environment: dict[str, str]
) -> None:
    with TestClient(create_app(backoffice), follow_redirects=False) as client:
        client.cookies.set("language", "en")
        shop = Shop(client, backoffice)
        shop.enter(DEMO_ACCOUNTS[0])
        assert shop.upload(csv_file(many(30)), "first.csv").json()["data"]["imported"] == 30

        # 30 that are there already, 90 new ones, and three without a price
        queued = shop.upload(csv_file([*many(120), *(("B1", "Tea", ""),) * 3]), "second.csv")
        assert queued.status_code == 202
        assert client.get(queued.headers["location"]).json()["status"] == "pending"

        work(environment)

        assert client.get(queued.headers["location"]).json()["status"] == "completed"
        shown = client.get("/imports/2", headers=JSON).json()
        counts = [shown[name] for name in ("state", "rows", "imported", "updated", "rejected")]
        assert counts == ["completed", 123, 90, 30, 3]
        assert shop.count_products() == 120
        assert len(shop.rejected(2)) == 1 + 3
        assert shop.skus("/products?q=tea+119") == ["A00119"]
        assert "second.csv" in client.get("/notifications").text
    with backoffice.engine.connect() as connection:
        stored = connection.execute(text("SELECT sum(price) FROM products")).scalar()
    assert stored == sum(1000 + n for n in range(120)) * 1000  # thousandths


def work(environment: dict[str, str]) -> None:
    """The worker as it is started, until nothing is left."""
    command = ("--app", "backoffice.worker:jobs", "queue:work", "--queue=imports,default")
    done = subprocess.run(
        [sys.executable, "-m", "tabur", *command, "--stop-when-empty"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(" DONE") == 1, done.stdout
