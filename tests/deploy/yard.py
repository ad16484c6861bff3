"""An app on a machine of its own kind: it belongs to a user without rights, and only that user's
processes touch it."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tests.worker import workshop

T = TypeVar("T")
#: Seconds: a ceiling, as there; each command here is a Python of its own that has to start.
CEILING = 3 * workshop.CEILING

APP = """
import os
import time

from tabur import Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open("ledger.txt", "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.job(queue="mail")
def quick(n: int) -> None:
    note("quick", n, os.getuid())


@jobs.job()
def patient(n: int, seconds: float = 2.0) -> None:
    note("began", n)
    time.sleep(seconds)
    note("ended", n)


@jobs.job()
def told() -> None:
    note("told", os.environ.get("GREETING"))
"""


_COUNT = """
import sqlite3

store = sqlite3.connect("var/tabur.sqlite3")
print(store.execute("SELECT COUNT(*) FROM jobs").fetchone()[0])
"""


class NoPython(Exception):
    """The user without rights may run no Python of this version."""


#: `tabur` for somebody who has nothing of our environment, not even where its packages are.
_SCRIPT = """#!{python}
import os
import sys

sys.path[:0] = {path!r}
os.environ["PYTHONPATH"] = os.pathsep.join({path!r})
from tabur.cli import main

main()
"""


class Yard:
    """`folder` holds the package `shop`. Root works there as nobody, everybody else as himself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_root = os.getuid() == 0
        entry = pwd.getpwnam("nobody") if self.is_root else pwd.getpwuid(os.getuid())
        self.user, self.uid, self.gid = entry.pw_name, entry.pw_uid, entry.pw_gid
        folder.chmod(0o755)
        self._python = self._find_python()
        self.path = [each for each in sys.path if Path(each).is_dir()]
        script = _SCRIPT.format(python=self._python, path=self.path)
        self.executable = self.write("bin/tabur", script)
        self.executable.chmod(0o755)
        self.write("shop/__init__.py", "")
        self.write("shop/main.py", APP)
        self.own(folder)

    def _find_python(self) -> str:
        """Ours, or the system's of the same version where ours lies in somebody's home. Raises
        NoPython."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        for each in (sys.executable, f"/usr/bin/{version}"):
            try:
                done = subprocess.run(
                    [each, "-c", ""],
                    user=self.uid if self.is_root else None,
                    check=False,
                    capture_output=True,
                )
            except OSError:
                continue
            if done.returncode == 0:
                return each
        raise NoPython(f"{self.user} may run neither {sys.executable} nor a {version} of /usr/bin.")

    @property
    def environment(self) -> dict[str, str]:
        """Of this process, without what would change where jobs go."""
        own = ("QUEUE_", "DATABASE_", "TABUR_", "REDIS_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(own)}
        return kept | {"HOME": "/nonexistent"}

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        self.own(file)
        self.own(file.parent)
        return file

    def own(self, path: Path) -> None:
        if self.is_root:
            os.chown(path, self.uid, self.gid)

    def tabur(self, *words: str, code: int = 0, as_root: bool = False, **environment: str) -> str:
        """The command, run by the user in the folder; what it prints."""
        return self._run(
            [self.executable, "--app=shop.main:jobs", *words],
            code=code,
            as_root=as_root,
            environment=environment,
        )

    def python(self, code: str) -> str:
        return self._run([self._python, "-c", code])

    def _run(
        self,
        words: list[str | Path],
        *,
        code: int = 0,
        as_root: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        drop = self.is_root and not as_root
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={
                **self.environment,
                "PYTHONPATH": os.pathsep.join(self.path),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=CEILING,
            check=False,
            user=self.uid if drop else None,
            group=self.gid if drop else None,
            extra_groups=[] if drop else None,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def dispatch(self, calls: str) -> None:
        """Such as `quick(n=1), quick(n=2)`."""
        self.python(f"from shop.main import *; jobs.dispatch_many([{calls}])")

    def unfinished(self) -> int:
        return int(self.python(_COUNT))

    def ledger(self, beginning: str = "") -> list[str]:
        file = self.folder / "ledger.txt"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(beginning)]

    def noted(self, beginning: str, count: int = 1, *, ceiling: float = CEILING) -> list[str]:
        """Wait until `count` lines begin so."""

        def enough() -> list[str]:
            lines = self.ledger(beginning)
            return lines if len(lines) >= count else []

        return until(enough, f"{count} × {beginning!r} in {self.ledger()}", ceiling=ceiling)


def until(condition: Callable[[], T], what: str = "", *, ceiling: float = CEILING) -> T:
    """Look until `condition` answers something true; answers that."""
    return workshop.until(condition, what, ceiling=ceiling)


@contextmanager
def a_yard() -> Iterator[Yard]:
    """In a folder that everybody may enter, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="tabur-yard-") as folder:
        yield Yard(Path(folder))
