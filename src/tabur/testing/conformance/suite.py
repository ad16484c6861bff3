"""All obligations in one list, and how one is checked against one driver."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType

from tabur.model.records import NewJob
from tabur.testing.conformance import (
    across_processes,
    batching,
    calling,
    claiming,
    colliding,
    committing,
    concurrency,
    controlling,
    dispatching,
    fencing,
    following,
    inspecting,
    keeping,
    keying,
    moving,
    noting,
    overseeing,
    payloads,
    releasing,
    reporting,
    reviving,
    rewriting,
    scheduling,
    settling,
    ticking,
    transferring,
    waiting,
    waking,
    working,
)
from tabur.testing.conformance.subject import AdvanceElsewhere, MakeDriver, Subject

Obligation = Callable[[Subject], None]


def _obligations(*modules: ModuleType) -> tuple[Obligation, ...]:
    return tuple(
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    )


#: What every driver owes.
OBLIGATIONS = _obligations(
    dispatching,
    moving,
    claiming,
    settling,
    following,
    batching,
    calling,
    waiting,
    reviving,
    keying,
    colliding,
    overseeing,
    reporting,
    releasing,
    inspecting,
    working,
    controlling,
    transferring,
    rewriting,
    scheduling,
    ticking,
    noting,
    keeping,
    waking,
    payloads,
    concurrency,
)

#: What a driver owes besides where several processes share its store; needs `dispatch_elsewhere`
#: and `advance_elsewhere`.
ACROSS_PROCESSES = _obligations(across_processes)


#: What a driver owes besides that is `Fencing`.
FENCING = _obligations(fencing, committing)


def check(
    obligation: Obligation,
    make_driver: MakeDriver,
    *,
    dispatch_elsewhere: Callable[[NewJob], None] | None = None,
    advance_elsewhere: AdvanceElsewhere | None = None,
) -> None:
    """Run one obligation on a fresh driver. `make_driver` gets the clock to use; its store must be
    empty."""
    subject = Subject(
        make_driver, dispatch_elsewhere=dispatch_elsewhere, advance_elsewhere=advance_elsewhere
    )
    try:
        obligation(subject)
    finally:
        subject.driver.close()
