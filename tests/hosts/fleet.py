"""Hosts that share a store: workers on them, dispatches from them, and what their ledgers say."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from servers.hosts import Host, HostProcess
from tabur import State, Tabur
from tabur.drivers.contract import Driver, Filter
from tabur.model.outcome import Ending

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
#: Seconds: how long anything is waited for. Generous: it is a ceiling, not a target.
CEILING = 40.0
#: Code that dispatches one of each kind that runs until it is told to finish.
LONG = """
for number, each in enumerate((in_loop, in_thread, in_process)):
    each(number=number).dispatch()
"""
#: Seconds between two beats, and until others take over.
BEAT, LOST = 0.3, 4.0


@dataclass(frozen=True)
class Mark:
    """`at`: seconds of the monotonic clock, the same on all hosts."""

    what: str
    number: int
    host: str
    token: str
    at: float


class Fleet:
    """`store` are the variables that name it; `folder` holds ledgers and logs."""

    def __init__(self, folder: Path, store: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = {
            **dict.fromkeys(("DATABASE_URL", "REDIS_URL"), ""),
            **store,
            "FINISH": str(folder / "finish"),
            "TABUR_BEAT": str(BEAT),
            "TABUR_LOST": str(LOST),
            "PYTHONPATH": f"{ROOT / 'src'}",
        }
        self._workers: list[HostProcess] = []
        names = {"QUEUE_CONNECTION": "connection"}
        self._app = Tabur(**{names.get(name, name.lower()): value for name, value in store.items()})
        self._app.migrate()

    @property
    def is_mariadb(self) -> bool:
        return "MariaDB" in str(self.driver.check().get("engine"))

    @property
    def driver(self) -> Driver:
        return self._app.driver

    # working

    def worker(self, host: Host, *options: str, lost: float = LOST) -> HostProcess:
        """`tabur queue:work` there; returns when it has made itself known."""
        known = set(self.workers(host))
        process = self._python(
            *(host, f"{host.name}-{len(self._workers)}.log"),
            *("-m", "tabur", "--app", "tests.hosts.app:jobs", "queue:work", *options),
            lost=lost,
        )
        self._workers.append(process)
        until(lambda: set(self.workers(host)) - known, lambda: process.output)
        return process

    def workers(self, host: Host) -> Mapping[str, int]:
        """Of that host, by the store's account: how often each has beaten."""
        found = self.driver.workers.list()
        return {each.id: each.beats for each in found if each.host == host.name}

    def beats(self, host: Host, count: int) -> None:
        """Waits until a worker of that host has beaten so often from now on."""
        before = self.workers(host)
        until(
            lambda: any(
                beats >= before.get(each, 0) + count for each, beats in self.workers(host).items()
            ),
            self.logs,
        )

    def begin(self, host: Host, code: str) -> HostProcess:
        """Starts `code` there, with the jobs of the app and `time` at hand."""
        imports = "import time\nfrom tests.hosts.app import *\n"
        return self._python(host, f"{host.name}-{time.monotonic_ns()}.log", "-c", imports + code)

    def run(self, host: Host, code: str) -> str:
        """Runs it to its end; answers what it printed."""
        process = self.begin(host, code)
        assert process.wait(CEILING) == 0, process.output
        return process.output

    def told(self, process: HostProcess, word: str) -> Sequence[str]:
        """Waits for a line that begins with `word`; answers the rest of it, by words."""

        def line() -> list[str] | None:
            lines = process.output.splitlines(keepends=True)
            complete = (line.split() for line in lines if line.endswith("\n"))
            return next((words for words in complete if words[:1] == [word]), None)

        found = until(line, lambda: f"{word} in {process.output}")
        return found[1:] if found else []

    def finish(self) -> None:
        """Let the jobs end that run until then."""
        (self.folder / "finish").touch()

    # looking

    def marks(
        self, what: str = "", *, host: Host | None = None, number: int | None = None
    ) -> list[Mark]:
        """In the order of time; of one kind, host or job if those are given."""
        found = []
        for ledger in self.folder.glob("*.ledger"):
            for line in ledger.read_text("utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    kind, job, name, token, at = line.split()
                    found.append(Mark(kind, int(job), name, token, float(at)))
        found.sort(key=lambda mark: mark.at)
        return [
            mark
            for mark in found
            if what in ("", mark.what)
            and (host is None or mark.host == host.name)
            and number in (None, mark.number)
        ]

    def marked(self, what: str, count: int, *, host: Host | None = None) -> list[Mark]:
        """Waits until there are so many."""

        def enough() -> list[Mark]:
            marks = self.marks(what, host=host)
            return marks if len(marks) >= count else []

        return until(enough, lambda: f"{count} × {what}\n{self.story()}")

    def overlaps(self) -> str:
        """Empty where no attempt began while another of the same job still lived; else all that is
        known."""
        spans: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for mark in self.marks():
            spans[mark.number][mark.token].append(mark.at)
        for attempts in spans.values():
            ordered = sorted((times[0], times[-1]) for times in attempts.values())
            for (_, last), (first, _) in itertools.pairwise(ordered):
                if last >= first:
                    return self.story()
        return ""

    def attempts(self) -> list[Sequence[str]]:
        """How each attempt of each job ended, by job."""
        inspection = self.driver.inspection
        every = inspection.list(Filter(), limit=1000)
        return [[each.ending for each in inspection.attempts(job.id)] for job in every]

    def completed(self, count: int) -> None:
        """Waits until so many have completed and nothing is unfinished; each completed once."""
        which = Filter(states=(State.COMPLETED,))
        inspection = self.driver.inspection
        until(
            lambda: inspection.count(which, at_most=1000) == count and not inspection.queues(),
            lambda: f"{inspection.queues()}\n{self.story()}",
        )
        assert all(endings.count(Ending.COMPLETED) == 1 for endings in self.attempts())

    def logs(self) -> str:
        return "\n".join(f"{log.name}: {log.read_text()}" for log in self.folder.glob("*.log"))

    def story(self) -> str:
        """Each attempt's first and last mark, how attempts ended, and what workers have said."""
        lines = []
        seen: dict[tuple[int, str, str], list[Mark]] = defaultdict(list)
        for mark in self.marks():
            seen[mark.number, mark.host, mark.token].append(mark)
        for (number, host, token), marks in seen.items():
            first, last = marks[0], marks[-1]
            span = f"{first.what} {first.at:.3f} … {last.what} {last.at:.3f}"
            lines.append(f"job {number} on {host} ({token}): {span}")
        return "\n".join([*lines, str(self.attempts()), self.logs()])

    def close(self) -> None:
        for each in self._workers:
            each.signal(signal.SIGKILL)
        self._app.close()

    def _python(self, host: Host, log: str, *arguments: str, lost: float = LOST) -> HostProcess:
        return host.start(
            *(sys.executable, *arguments),
            cwd=ROOT,
            log=self.folder / log,
            environment={
                **self._environment,
                "LEDGER": str(self.folder / f"{host.name}.ledger"),
                "TABUR_LOST": str(lost),
                "TABUR_RUN": str(self.folder / f"run-{host.name}"),
            },
        )


def until(condition: Callable[[], T], told: Callable[[], str], *, ceiling: float = CEILING) -> T:
    """Look until `condition` answers something true; answers that."""
    deadline = time.monotonic() + ceiling
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"never: {told()}"
        time.sleep(0.02)
    return answer
