"""The command `tabur`: Laravel's names for the same things."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. What goes wrong is one line and an exit code, never a traceback."""
    try:
        from tabur.cli.group import tabur

        tabur(prog_name="tabur")
    except KeyboardInterrupt:  # while modules are still being imported
        sys.exit(130)
