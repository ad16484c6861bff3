"""`tabur doctor --json`, as tests ask it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.cli.project import Project

Ask = Callable[..., dict[str, dict[str, str]]]


def ask(project: Project, *options: str, connection: str | None = None) -> dict[str, Any]:
    """Findings by their names, of one connection or of all; the exit code must be theirs."""
    from click.testing import CliRunner

    from tabur.cli.group import tabur

    done = CliRunner().invoke(tabur, ["doctor", "--json", *options], prog_name="tabur")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    told = json.loads(done.stdout)
    found = {
        each["name"]: each
        for check in told["checks"]
        if connection in (None, check["connection"])
        for each in check["findings"]
    }
    wrong = any(each["level"] != "note" for c in told["checks"] for each in c["findings"])
    assert told["well"] is not wrong
    assert done.exit_code == (1 if wrong else 0)
    assert "check-failed" not in found, found
    assert all(each["todo"] for each in found.values())
    return found
