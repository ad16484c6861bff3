"""Who is measured: Tabur, the bare loop of each store, and every folder of bench/rivals."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import environments
from bench.place import Place
from bench.processes import ROOT, alive, clean_environment, running, stop

RIVALS = Path(__file__).parent / "rivals"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contestant on one store."""

    settings: str = ""
    """What was chosen for speed, in words."""
    drained: int = 0
    """Jobs that keep a drain under a minute; 0: it cannot be drained by a worker."""
    bulk: int = 0
    """Jobs dispatched in one go; 0: there is no such call."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    name: str
    module: str
    """Of its adapter; `{store}` is put in."""
    stores: Mapping[str, Entry]
    packages: tuple[str, ...] = ()
    """Whose versions are told."""
    requirements: tuple[str, ...] = ()
    """What its environment holds; none: it runs in ours."""

    def python(self) -> str:
        if not self.requirements:
            return sys.executable
        return str(environments.python_of(self.name, self.requirements))


OURS = Contestant(
    name="tabur",
    module="bench.ours",
    stores={
        "sqlite": Entry(drained=100_000, bulk=100_000),
        **dict.fromkeys(("postgres", "mariadb", "redis"), Entry(drained=300_000, bulk=100_000)),
    },
    packages=("tabur",),
)
BARE = Contestant(
    name="bare",
    module="bench.bare.{store}",
    stores=dict.fromkeys(("sqlite", "postgres", "mariadb", "redis"), Entry(bulk=100_000)),
)


def rivals() -> list[Contestant]:
    """One for each folder with a rival.toml and an adapter.py."""
    return [_rival(path) for path in sorted(RIVALS.glob("*/rival.toml"))]


def everybody() -> dict[str, Contestant]:
    return {each.name: each for each in (OURS, BARE, *rivals())}


def _rival(path: Path) -> Contestant:
    content = tomllib.loads(path.read_text())
    return Contestant(
        name=path.parent.name,
        module=f"bench.rivals.{path.parent.name}.adapter",
        stores={name: Entry(**entry) for name, entry in content["stores"].items()},
        packages=tuple(each.split("==")[0].split("[")[0] for each in content["requirements"]),
        requirements=tuple(content["requirements"]),
    )


class Refused(Exception):
    """The adapter answered with an error."""


class NotOffered(Refused):
    """The contestant has no such call."""


class Open:
    """An adapter at work in a process of its own; each method is one command of bench/agent.py."""

    def __init__(
        self, process: subprocess.Popen[str], place: Place, environment: Mapping[str, str]
    ) -> None:
        self._process = process
        self._environment = environment
        self._workers: list[psutil.Process] = []
        self._unanswered = 0
        self.place = place

    def begun(self) -> None:
        """Waits until it has imported its contestant. Raises Refused."""
        self._unanswered += 1
        self.answer()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Raises Refused with the adapter's error."""
        self.send(command, **arguments)
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Of the command that was sent last; see `send`. Waits no longer than workers live."""
        assert self._process.stdout is not None
        while not select.select([self._process.stdout], [], [], 0.5)[0]:
            self.refuse_dead()
        line = self._process.stdout.readline()
        if not line:
            raise Refused(f"the adapter is gone: {self.place.last_words()}")
        self._unanswered -= 1
        answer: dict[str, Any] = json.loads(line)
        if answer.get("error") == "not offered":
            raise NotOffered
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def send(self, command: str, **arguments: Any) -> None:
        """Begin a command whose `answer` is asked for later."""
        assert self._process.stdin is not None
        self._unanswered += 1
        try:
            self._process.stdin.write(json.dumps({"do": command, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Refused(f"the adapter is gone: {self.place.last_words()}") from None

    def close(self) -> None:
        """Unless it still owes an answer: who was given up is stopped, not waited for."""
        if not self._unanswered:
            self.ask("close")

    def dispatch(self, count: int, *, first: int = 0) -> None:
        """By its fastest way; how long it takes is not looked at."""
        try:
            self.ask("dispatch_many", first=first, count=count)
        except NotOffered:
            self.ask("dispatch_each", first=first, count=count)

    def unfinished(self) -> int:
        count: int = self.ask("unfinished")["count"]
        return count

    @contextlib.contextmanager
    def working(self, commands: list[list[str]]) -> Iterator[list[psutil.Process]]:
        """Its workers, running."""
        with contextlib.ExitStack() as started:
            self._workers = [
                started.enter_context(running(each, self._environment, log=self.place.log))
                for each in commands
            ]
            try:
                yield self._workers
            finally:
                self._workers = []

    def refuse_dead(self) -> None:
        """Raises ChildProcessError with the end of the log where a worker is gone."""
        if not alive(self._workers):
            raise ChildProcessError(f"a worker has ended: {self.place.last_words()}")


@contextlib.contextmanager
def opened(contestant: Contestant, place: Place, **environment: str) -> Iterator[Open]:
    """The contestant on this place, prepared. `environment` is for the adapter and the workers."""
    everything = {**place.environment, **environment}
    module = contestant.module.format(store=place.store.name)
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            [contestant.python(), "-m", "bench.agent", module],
            cwd=ROOT,
            env=clean_environment(everything),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            adapter = Open(process, place, everything)
            adapter.begun()
            adapter.ask("prepare")
            yield adapter
            adapter.close()
        finally:
            stop(process)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    assert pipe is not None
                    pipe.close()
