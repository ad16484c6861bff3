"""The runs of jobs, as they really were."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from tabur.model.states import Isolation

if TYPE_CHECKING:
    from tabur.testing.simulation.host import HostProcess
    from tabur.worker.running.run import Run

#: Seconds: a process that has stood still for longer may find its jobs running elsewhere.
STOOD_STILL = 2.0
#: Seconds that it has then to end them, awake.
FINDS_OUT = 12.0


class How(StrEnum):
    """How a run ended."""

    RETURNED = "returned"
    RAISED = "raised"
    OVERTIME = "was over its time"
    RELEASED = "released itself"
    GAVE_UP = "gave up"
    CALLED_BACK = "was called back"
    HANDED_BACK = "handed itself back"
    CUT_OFF = "was cut off"
    DIED = "died with its process"


#: What spends an attempt: its own doing, and nothing else.
CHARGED = frozenset(
    {How.RETURNED, How.RAISED, How.OVERTIME, How.RELEASED, How.GAVE_UP, How.CALLED_BACK}
)


class Execution(msgspec.Struct):
    """One run of one job."""

    run: Run
    process: HostProcess
    isolation: Isolation
    began: float
    stood_before: float
    """Seconds for which its process had stood still when it began."""
    host_stood_before: float
    """The same of its host."""
    how: How | None = None
    ended: float | None = None
    transacts: bool = False
    """It is settled in a transaction of its own."""
    settled: bool = False
    has_failed: bool = False
    """For good."""

    @property
    def overtime_from(self) -> float:
        return self.began + self.run.timeout

    @property
    def took(self) -> float:
        """Seconds, until now where it goes on."""
        return (self.process.timeline.now if self.ended is None else self.ended) - self.began

    @property
    def is_live(self) -> bool:
        """Whether it goes on at this moment."""
        return self.how is None and self.process.lives and not self.process.is_stopped

    @property
    def is_settled(self) -> bool:
        """Whether the store knows how it ended; it does what was handed back, and who died."""
        return self.settled or self.how in (How.DIED, None)

    @property
    def is_excused(self) -> bool:
        """Its process has stood still, and had no time yet to find out what happened meanwhile."""
        process = self.process
        stood = process.standstill.seconds - self.stood_before
        awake = process.timeline.now - process.standstill.awake_since
        return stood > STOOD_STILL and (process.is_stopped or awake < FINDS_OUT)
