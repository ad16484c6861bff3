"""The memory driver keeps the contract."""

from __future__ import annotations

import pytest

from tabur.drivers.memory.driver import MemoryDriver
from tabur.testing.conformance import OBLIGATIONS, Obligation, check


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_the_memory_driver(obligation: Obligation) -> None:
    check(obligation, lambda clock: MemoryDriver(clock=clock))
