"""The command `tabur`: Laravel's names for the same things."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the command line. What goes wrong is one line and an exit code, never a traceback."""
    try:
        from tabur.cli.group import tabur

        tabur(prog_name="tabur")
    except KeyboardInterrupt:  # while modules are still being imported
        sys.exit(130)
    finally:
        _keep_exit_code()


def _keep_exit_code() -> None:
    """Let neither a signal that comes now nor a terminal that is gone change it, as Python would
    that gives the signals their default back, and ends with 120 for what it cannot write."""
    for number in (signal.SIGTERM, signal.SIGINT, *_OTHERS):
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            signal.signal(number, signal.SIG_IGN)  # it was obeyed, and nothing is left to stop
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_OTHERS = [
    getattr(signal, name) for name in ("SIGHUP", "SIGQUIT", "SIGBREAK") if hasattr(signal, name)
]
