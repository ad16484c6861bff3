"""The command `tabur`: Laravel's names for the same things."""

from __future__ import annotations

import sys

from tabur.errors import TaburError


def main() -> None:
    """Run the command line; an error of ours is one line and an exit code, never a traceback."""
    from tabur.cli.group import tabur

    try:
        tabur(prog_name="tabur")
    except TaburError as error:
        print(f"tabur: {error}", file=sys.stderr)
        sys.exit(1)
