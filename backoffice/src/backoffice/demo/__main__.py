"""Starts web and worker on this machine; with DEMO_EXIT=1 drives an import and ends."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from backoffice.demo.drive import DemoFailed, drive
from backoffice.demo.processes import Children, free_port, port_is_taken, wait_until_up
from backoffice.kernel.settings import Settings
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.wiring import build

SAMPLES = Path(__file__).parents[3] / "samples"


def main() -> int:
    """0 when all went well, 1 with a line that says what did not."""
    by_itself = os.environ.get("DEMO_EXIT") == "1"
    asked = "0" if by_itself else os.environ.get("PORT") or "8000"
    if not asked.isdecimal() or int(asked) > 65535:
        print(f"PORT={asked!r} is no port. Try: PORT=8080 make demo", file=sys.stderr)
        return 1
    port = int(asked) or free_port()
    if port_is_taken(port):
        print(f"Port {port} is taken. Choose another: PORT={port + 1} make demo", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        if not by_itself:
            return _run(port, Path(os.environ.get("BACKOFFICE_VAR", "var")), by_itself=False)
        with tempfile.TemporaryDirectory(prefix="backoffice-demo-") as folder:
            return _run(port, Path(folder), by_itself=True)
    except DemoFailed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if not by_itself else 1


def _run(port: int, var: Path, *, by_itself: bool) -> int:
    environment = os.environ | {"BACKOFFICE_VAR": str(var.resolve())}
    if by_itself:  # nothing of the surroundings leaks into a run that checks counts
        for name in ("BACKOFFICE_DATABASE_URL", "DATABASE_URL", "QUEUE_CONNECTION", "REDIS_URL"):
            environment.pop(name, None)
    print("Preparing the database …", flush=True)
    backoffice = build(Settings.from_env(environment))
    backoffice.provision()
    backoffice.close()
    address = f"http://127.0.0.1:{port}"
    with Children(environment, logs=var if by_itself else None) as children:
        children.start(
            "web", "uvicorn", "backoffice.main:app", "--host", "127.0.0.1", "--port", str(port),
            "--log-level", "warning",
        )  # fmt: skip
        children.start(
            "worker", "tabur", "--app", "backoffice.worker:jobs", "queue:work",
            "--queue", "imports,default",
        )  # fmt: skip
        try:
            wait_until_up(address, children)
            if by_itself:
                drive(address, SAMPLES)
            else:
                _greet(address)
                children.wait()
        except DemoFailed:
            print(children.last_words(), file=sys.stderr)
            raise
    return 0


def _greet(address: str) -> None:
    print(f"\n  The back office runs at  {address}\n\n  Sign in as one of:")
    for account in DEMO_ACCOUNTS:
        print(f"    {account.email:<24} {account.password:<20} {account.business}")
    print(
        f"\n  Then: Imports, choose {_short(SAMPLES / 'products-2000.csv')}, Import; watch the bar;"
        "\n  download the 19 rows that are wrong on purpose. The button at the top changes the"
        "\n  language. Sign in as the other business: it sees nothing of this."
        "\n\n  Ctrl-C stops everything.\n",
        flush=True,
    )


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
