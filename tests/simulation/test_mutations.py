"""A simulation that cannot fail is a defect: one thing is broken in the worker or in the store, and
some seed must find it. Two minutes of two cores: run by `make test-all`."""

from __future__ import annotations

import pytest

from tabur.testing.simulation import Simulator
from tests.simulation.mutations import MUTATIONS, Mutation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: each.what.replace(" ", "-"))
def test_it_is_found(simulator: Simulator, mutation: Mutation) -> None:
    with mutation.made():
        for seed in range(1, mutation.within + 1):
            if simulator.run(seed).broken is not None:
                return
    pytest.fail(f"{mutation.within} seeds found nothing wrong where {mutation.what}")
