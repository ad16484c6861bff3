"""What every store promises: the roles of a driver, and the obligations of each verb.

A driver is one object with ten roles. All verbs may be called from any thread. A verb either
does all it says, in one transaction, or nothing. A verb whose answer does not come raises
StoreUnavailable; then it is unknown whether it was done, and calling it again is safe. Where
nothing was sent, since no connection could be made, it raises the kind named StoreUnreachable.
Moments and spans are microseconds; "now" is the store's clock.
"""

from tabur.drivers.contract.driver import Driver, Fencing, Relaying, SelfExamining, Transactional
from tabur.drivers.contract.jobs import Batches, Claiming, Dispatching, Transfer
from tabur.drivers.contract.reading import Inspection, Retention
from tabur.drivers.contract.schedules import Notes, Schedules
from tabur.drivers.contract.values import (
    Body,
    CancelAnswer,
    Exchange,
    Exchanged,
    Filter,
    ProgressWrite,
    Rewrite,
)
from tabur.drivers.contract.workers import Control, Listener, Workers

__all__ = [
    "Batches",
    "Body",
    "CancelAnswer",
    "Claiming",
    "Control",
    "Dispatching",
    "Driver",
    "Exchange",
    "Exchanged",
    "Fencing",
    "Filter",
    "Inspection",
    "Listener",
    "Notes",
    "ProgressWrite",
    "Relaying",
    "Retention",
    "Rewrite",
    "Schedules",
    "SelfExamining",
    "Transactional",
    "Transfer",
    "Workers",
]
