"""USR1: a process prints the stacks of all its threads, even while one lets no other run."""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_NUMBER = getattr(signal, "SIGUSR1", None)


def dump_stacks_on_signal(then: Callable[[], object] | None = None) -> None:
    """From the main thread, once, and before there are others. `then` is called afterwards, once
    Python runs again. Where there is no such signal, nothing is done."""
    if _NUMBER is None:
        return

    def called(_: int, frame: Any) -> None:
        assert then is not None
        then()

    if then is not None:
        signal.signal(_NUMBER, called)
    # Without a `chain`, a call into C that the signal interrupts goes on as if nothing were.
    faulthandler.register(_NUMBER, file=sys.stderr, all_threads=True, chain=then is not None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {_NUMBER})


@contextmanager
def stacks_later() -> Iterator[None]:
    """A process that is started inside begins with the signal blocked, until it calls
    `dump_stacks_on_signal`: before, the signal would end it."""
    if _NUMBER is None:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {_NUMBER})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
