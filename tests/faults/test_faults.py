"""The fault tests, small: every count as strict as in full, times with a ceiling of five times the
target. `make chaos` runs them in full."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaos.scenario import Report, Scenario
from chaos.scenarios import SCENARIOS
from chaos.scenarios.v1 import PROGRAMS, STORES, V1

# One at a time would be quicker than two beside each other, which wait for each other's servers.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place() -> Iterator[Path]:
    # Not tmp_path, which is kept: a ledger has megabytes.
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        yield Path(name)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "V1"])
def test_nothing_is_lost_doubled_or_stale(
    name: str, place: Path, require: Callable[..., None]
) -> None:
    scenario: Scenario = SCENARIOS[name].small()
    require(*scenario.programs)

    for report in scenario.run(place):
        assert_holds(report)


@pytest.mark.parametrize("store", STORES)
def test_depth_does_not_cost(store: str, place: Path, require: Callable[..., None]) -> None:
    require(*PROGRAMS[store])

    assert_holds(V1.small().on(store, place / store))


def assert_holds(report: Report) -> None:
    broken = "\n".join(str(each) for each in report.broken)
    assert not broken, f"{report.load}:\n{broken}\n{report.figures}"
