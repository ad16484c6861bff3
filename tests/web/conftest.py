"""What the tests of the web side start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tabur import FunctionJob, Tabur
from tests.web.support import Hand, host, memory, sqlite

OWNER = {"x-tenant": "acme", "x-user": "7"}
Import = FunctionJob[[int], None]


@pytest.fixture(params=["memory", "sqlite"])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tabur]:
    app = {"memory": memory, "sqlite": sqlite}[request.param](tmp_path)
    yield app
    app.close()


@pytest.fixture
def import_products(jobs: Tabur) -> Import:
    @jobs.job(owner_may_retry=True)
    def import_products(rows: int) -> None: ...

    return import_products


@pytest.fixture
def acme(jobs: Tabur, import_products: Import) -> Import:
    """The job, dispatched as user 7 of acme."""
    return import_products.options(tenant="acme", user="7")


@pytest.fixture
def hand(jobs: Tabur) -> Hand:
    return Hand(jobs)


@pytest.fixture
def client(jobs: Tabur) -> TestClient:
    """A client signed in as user 7 of acme."""
    return TestClient(host(jobs), headers=OWNER)


@pytest.fixture
def stranger(jobs: Tabur) -> TestClient:
    return TestClient(host(jobs), headers={"x-tenant": "acme", "x-user": "8"})


@pytest.fixture
def nobody(jobs: Tabur) -> TestClient:
    return TestClient(host(jobs))
