"""The fault tests that kill and stop processes, small, on each store: every count as strict as in
full, times with a ceiling of five times the target."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.scenario import LeftOut, OnEachStore
from chaos.scenarios import SCENARIOS
from chaos.stores import Store

pytestmark = pytest.mark.timeout(300)


EACH_STORE = [name for name, each in SCENARIOS.items() if issubclass(each, OnEachStore)]


@pytest.mark.parametrize("name", EACH_STORE)
def test_nothing_is_lost_doubled_or_stale(
    name: str, store: Store, place: Path, require: Callable[..., None]
) -> None:
    scenario = SCENARIOS[name].small()
    assert isinstance(scenario, OnEachStore)
    require(*scenario.also)

    try:
        report = scenario.on(store, place)
    except LeftOut as why:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(why))

    broken = "\n".join(str(each) for each in report.broken)
    assert not broken, f"{report.load}:\n{broken}\n{report.figures}"
