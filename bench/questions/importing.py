"""How long `import tabur` takes in a fresh interpreter, and what it is spent on."""

from __future__ import annotations

import subprocess
import sys

from bench.session import Session
from bench.stores import Store

TIMED = """import time; start = time.perf_counter(); import tabur
print((time.perf_counter() - start) * 1000)"""


def measure(session: Session, store: Store) -> None:
    """Milliseconds: the best of several, since everything else the machine does only adds."""
    with session.attempt("import", seconds=60):
        runs = (float(_python("-c", TIMED).stdout) for _ in range(session.plan.imports))
        session.figures.add(store.name, "import", "tabur", min(runs))


def top(count: int) -> list[tuple[str, float]]:
    """The modules that take longest themselves, in milliseconds."""
    lines = _python("-X", "importtime", "-c", "import tabur").stderr.splitlines()
    before = {
        line.split("|")[-1].strip()
        for line in _python("-X", "importtime", "-c", "").stderr.splitlines()
    }
    times = [
        (parts[2].strip(), int(parts[0].removeprefix("import time:")) / 1000)
        for line in lines
        if len(parts := line.split("|")) == 3
        and parts[0].removeprefix("import time:").strip().isdigit()
    ]
    return sorted((each for each in times if each[0] not in before), key=lambda each: -each[1])[
        :count
    ]


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
