"""The fault tests, small: every count as strict as in full, times with a ceiling of five times the
target. `make chaos` runs them in full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.scenario import LeftOut, OnEachStore, Report, Scenario
from chaos.scenarios import SCENARIOS
from chaos.scenarios.n1 import N1
from chaos.scenarios.v1 import V1
from chaos.stores import PROGRAMS, STORES

# One at a time would be quicker than two beside each other, which wait for each other's servers.
pytestmark = pytest.mark.timeout(300)


ONE_STORE = [
    pytest.param(name, marks=pytest.mark.slow) if each is N1 else name  # a minute; see tests/hosts
    for name, each in SCENARIOS.items()
    if each is not V1 and not issubclass(each, OnEachStore)
]


@pytest.mark.parametrize("name", ONE_STORE)
def test_nothing_is_lost_doubled_or_stale(
    name: str, place: Path, require: Callable[..., None]
) -> None:
    scenario: Scenario = SCENARIOS[name].small()
    require(*scenario.programs)

    try:
        reports = scenario.run(place)
    except LeftOut as why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(why))

    for report in reports:
        assert_holds(report)


@pytest.mark.parametrize("store", STORES)
def test_depth_does_not_cost(store: str, place: Path, require: Callable[..., None]) -> None:
    require(*PROGRAMS[store])

    assert_holds(V1.small().on(store, place / store))


def assert_holds(report: Report) -> None:
    broken = "\n".join(str(each) for each in report.broken)
    assert not broken, f"{report.load}:\n{broken}\n{report.figures}"
