"""The pytest plugin: the fixtures `tabur_queue` and `tabur_app`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tabur.errors import ConfigError

if TYPE_CHECKING:
    from tabur.app import Tabur
    from tabur.testing import FakeQueue


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("tabur").addoption(
        "--tabur-app",
        metavar="PLACE",
        help="the Tabur object of the fixture tabur_app, as package.module:name; else TABUR_APP, "
        "or [tool.tabur] app in pyproject.toml",
    )


@pytest.fixture(scope="session")
def tabur_app(pytestconfig: pytest.Config) -> Tabur:
    """The application's Tabur object. A fixture of your own by this name gives another one."""
    from tabur.worker.load import find_app, load_app

    try:
        app: Tabur = load_app(find_app(pytestconfig.getoption("--tabur-app")))
    except ConfigError as error:
        raise pytest.UsageError(str(error).replace("--app", "--tabur-app")) from None
    return app


@pytest.fixture
def tabur_queue(tabur_app: Tabur) -> Iterator[FakeQueue]:
    """The fake queue of `tabur_app`: nothing is sent while the test runs."""
    with tabur_app.fake() as queue:
        yield queue
