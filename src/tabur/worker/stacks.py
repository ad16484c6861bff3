"""USR1: a process prints the stacks of all its threads, even while one lets no other run."""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable
from typing import Any


def dump_stacks_on_signal(then: Callable[[], object] | None = None) -> None:
    """From the main thread. `then` is called afterwards, once Python runs again. Where there is no
    such signal, nothing is done."""
    number = getattr(signal, "SIGUSR1", None)
    if number is None:
        return

    def called(_: int, frame: Any) -> None:
        if then is not None:
            then()

    signal.signal(number, called)
    faulthandler.register(number, file=sys.stderr, all_threads=True, chain=True)
