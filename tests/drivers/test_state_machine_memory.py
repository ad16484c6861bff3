"""The memory driver against the model, by random steps."""

from __future__ import annotations

from tabur.drivers.memory.driver import MemoryDriver
from tabur.testing.state_machine import state_machine
from tests.effort import ceiling, effort

# Where it fails, finding the shortest story takes its time.
TestMemory = ceiling()(state_machine(lambda clock: MemoryDriver(clock=clock)).TestCase)
TestMemory.settings = effort(60, steps=50)
