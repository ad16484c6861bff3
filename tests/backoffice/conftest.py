"""A back office with its own folder and database, and clients that are signed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backoffice.http.app import create_app
from backoffice.kernel.settings import Settings
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.wiring import BackOffice, build
from tests.backoffice.helpers import Shop

SAMPLES = Path(__file__).parents[2] / "backoffice" / "samples"


@pytest.fixture(scope="session")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with schema and accounts, made once: hashing passwords takes its time."""
    folder = tmp_path_factory.mktemp("provisioned")
    settings = make_settings(folder)
    backoffice = build(settings)
    backoffice.provision()
    with backoffice.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    backoffice.close()
    return folder / "backoffice.sqlite3"


def make_settings(folder: Path, **changes: object) -> Settings:
    url = f"sqlite:///{folder / 'backoffice.sqlite3'}"
    values = {
        "var": folder,
        "database_url": url,
        "queue_connection": "database",
        "queue_url": url,
        "secret": "a secret of the tests",
    } | changes
    return Settings(**values)  # type: ignore[arg-type]  # a dict of fields


@pytest.fixture
def settings(tmp_path: Path, provisioned: Path) -> Settings:
    (tmp_path / "backoffice.sqlite3").write_bytes(provisioned.read_bytes())
    return make_settings(tmp_path)


@pytest.fixture
def backoffice(settings: Settings) -> Iterator[BackOffice]:
    made = build(settings)
    yield made
    made.close()


@pytest.fixture
def sign_in(backoffice: BackOffice) -> Iterator[Callable[..., Shop]]:
    """Signs a demo owner in: `sign_in()` is Al Noor's, `sign_in(1)` Kilimani's."""
    clients: list[TestClient] = []

    def signed_in(account: int = 0, *, language: str = "en") -> Shop:
        client = TestClient(create_app(backoffice), follow_redirects=False)
        clients.append(client)
        client.cookies.set("language", language)
        shop = Shop(client, backoffice)
        shop.enter(DEMO_ACCOUNTS[account])
        return shop

    yield signed_in
    for client in clients:
        client.close()


@pytest.fixture
def shop(sign_in: Callable[..., Shop]) -> Shop:
    return sign_in()


@pytest.fixture
def other_shop(sign_in: Callable[..., Shop]) -> Shop:
    return sign_in(1)
