"""The pytest plugin, in a pytest of its own: a project's tests with the fixture `tabur_queue`."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

SHOP = """
from tabur import Tabur

jobs = Tabur(connection="memory")

@jobs.job()
def send(order_id: int) -> None: ...
"""
TESTS = """
import pytest
from shop import send

@pytest.mark.parametrize("n", range(4))
def test_each_has_a_queue_of_its_own(tabur_queue, n):
    tabur_queue.assert_nothing_pushed()
    send.dispatch(order_id=n)
    tabur_queue.assert_pushed(send, lambda job: job.args.order_id == n, times=1)

def test_without_it_nothing_is_faked():
    assert send.dispatch(order_id=1).connection == "memory"
"""
PLUGIN = ("-p", "tabur.testing.plugin", "-p", "no:tabur", "-p", "no:cacheprovider")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.delenv("TABUR_APP", raising=False)
    pytester.syspathinsert()
    pytester.makepyfile(shop=SHOP, test_shop=TESTS)
    return pytester


def test_the_app_is_the_one_given(project: pytest.Pytester) -> None:
    project.runpytest_inprocess(*PLUGIN, "--tabur-app", "shop:jobs").assert_outcomes(passed=5)


def test_or_that_of_the_environment(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_APP", "shop:jobs")
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=5)


def test_or_that_of_pyproject(project: pytest.Pytester) -> None:
    project.makepyprojecttoml('[tool.tabur]\napp = "shop:jobs"\n')
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=5)


def test_or_that_of_a_fixture(project: pytest.Pytester) -> None:
    project.makeconftest(
        "import pytest, shop\n\n@pytest.fixture\ndef tabur_app():\n    return shop.jobs\n"
    )
    project.runpytest_inprocess(*PLUGIN).assert_outcomes(passed=5)


def test_without_any_it_says_what_to_write(project: pytest.Pytester) -> None:
    done = project.runpytest_inprocess(*PLUGIN)
    done.assert_outcomes(passed=1, errors=4)
    done.stdout.fnmatch_lines(["*Which app? Give --tabur-app package.module:name, set TABUR_APP*"])
    done = project.runpytest_inprocess(*PLUGIN, "--tabur-app", "shop:queue")
    done.stdout.fnmatch_lines(["*--tabur-app 'shop:queue': 'queue' is nothing, not a Tabur obj*"])


@pytest.mark.timeout(180)
def test_each_process_of_xdist_has_its_own(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*PLUGIN, "--tabur-app", "shop:jobs", "-n", "2")
    done.assert_outcomes(passed=5)


def test_it_loads_nothing_that_takes_long() -> None:
    code = (
        "import sys, tabur.testing.plugin; "
        "sys.exit(bool({'sqlalchemy', 'hypothesis'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
