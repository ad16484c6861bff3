"""A simulation that cannot fail is a defect: one thing is broken in the worker or in the store, and
some seed must find it. What only a few seeds in a thousand find is looked for by `make test-all`."""

from __future__ import annotations

import pytest

from tabur.testing.simulation import Simulator
from tests.simulation.mutations import MUTATIONS, RARE, Mutation


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator()


def cases() -> list[object]:
    return [
        pytest.param(
            each,
            id=each.what.replace(" ", "-"),
            marks=[pytest.mark.slow, pytest.mark.timeout(600)] if each.within >= RARE else [],
        )
        for each in MUTATIONS
    ]


@pytest.mark.parametrize("mutation", cases())
def test_it_is_found(simulator: Simulator, mutation: Mutation) -> None:
    with mutation.made():
        for seed in range(1, mutation.within + 1):
            if simulator.run(seed).broken is not None:
                return
    pytest.fail(f"{mutation.within} seeds found nothing wrong where {mutation.what}")
