"""What is to run where: the programs of an app, its folder, its user. Made from the app's own
settings; each format of this package writes it down in its own words."""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from tabur.config import CONNECTIONS
from tabur.errors import ConfigError
from tabur.jobs.options import check_name

if TYPE_CHECKING:
    from tabur.app import Tabur

#: Seconds to wait beyond a worker's grace: it cuts off, hands back and signs off.
BEYOND_GRACE = 30
#: Seconds that a scheduler may take to end.
SCHEDULER_GRACE = 30.0


@dataclass(frozen=True)
class File:
    """One file that was generated. `place` is where it is to lie on the machine."""

    place: str
    text: str

    @property
    def name(self) -> str:
        return self.place.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True)
class Program:
    """One thing that runs for ever. `words`: the command of `tabur` and its options, without those
    that all share. `grace` in seconds."""

    name: str
    title: str
    words: tuple[str, ...]
    processes: int = 1
    grace: float = 30.0
    is_worker: bool = True

    @property
    def stop_seconds(self) -> int:
        """How long to wait for its end before it is killed."""
        return ceil(self.grace) + BEYOND_GRACE


@dataclass(frozen=True)
class Plan:
    """Raises ConfigError for a value that no file could carry."""

    name: str
    """Of the app: letters, digits and dashes."""
    app: str
    directory: str
    """Where everything is started, an absolute path."""
    executable: tuple[str, ...]
    """How `tabur` is started there: its path, or Python's and `-m tabur`."""
    user: str
    """Whom workers belong to."""
    env_file: str | None
    """What holds the settings, absolute; None: the environment has them."""
    workers: tuple[Program, ...]
    scheduler: Program | None
    log: str | None = None
    """The folder of logs, absolute; None: where the format keeps them."""
    stores: tuple[str, ...] = ()
    """The URLs of the stores in use."""

    def __post_init__(self) -> None:
        named = {
            "--directory": self.directory,
            "--env-file": self.env_file,
            "--log": self.log,
            "--user": self.user,
            "--app": self.app,
            "--executable": "".join(self.executable),
        }
        programs = self.programs
        named["an option"] = "".join(word for each in programs for word in each.words)
        named["a title"] = "".join(each.title for each in programs)
        for name in (self.name, *(each.name for each in programs)):
            if not re.fullmatch(r"[A-Za-z0-9-]+", name):  # it becomes the name of a file
                raise ConfigError(f"--name={name!r}: letters, digits and dashes are needed.")
        for what, value in named.items():
            if value is not None and not value.isprintable():
                raise ConfigError(
                    f"{what}={value!r}: line breaks and other characters that cannot be printed "
                    "have no place in these files. Use a path without them."
                )

    @property
    def programs(self) -> tuple[Program, ...]:
        return (*self.workers, self.scheduler) if self.scheduler else self.workers

    def command(self, program: Program, *, env_file: bool = True) -> list[str]:
        """All words of its command line. `env_file`: whether `tabur` itself is to read it."""
        shared = ["--app", self.app]
        if env_file and self.env_file is not None:
            shared += ["--env-file", self.env_file]
        return [*self.executable, *shared, *program.words]


def workers(
    app: Tabur,
    name: str,
    *,
    queues: Sequence[str] = (),
    processes: int | None = None,
    grace: float = 30.0,
    options: Sequence[str] = (),
) -> tuple[Program, ...]:
    """One worker for each of `queues` (`high,default`, or `redis:high,default` on another
    connection); without them one for each connection in use, with all queues that the app's jobs
    declare, the default one last. `options` are further ones of `queue:work`. Raises ConfigError.
    """
    asked = [_split(app, each) for each in queues] or [
        (each, _declared(app, each)) for each in app.connections
    ]
    for connection, _ in asked:
        if connection in ("sync", "memory"):
            raise ConfigError(
                f"QUEUE_CONNECTION={connection} keeps jobs in the process that dispatches them, so "
                "there is nothing to deploy. Set QUEUE_CONNECTION=database."
            )
    made: dict[str, Program] = {}
    for connection, queue in asked:
        target = () if connection == app.connection else (connection,)
        suffix = () if len(asked) == 1 else (*target, _first(queue))
        chosen = _free("-".join((name, "worker", *filter(None, suffix))), made)
        made[chosen] = Program(
            chosen,
            f"Background jobs of {name}: {queue.replace(',', ', ')}",
            ("queue:work", *target, f"--queue={queue}", *options),
            processes=processes or 1,
            grace=grace,
        )
    return tuple(made.values())


def scheduler(name: str) -> Program:
    return Program(
        f"{name}-scheduler",
        f"Schedules of {name}",
        ("schedule:work",),
        grace=SCHEDULER_GRACE,
        is_worker=False,
    )


def app_name(spec: str, directory: Path) -> str:
    """`shop` of `shop.main:jobs`; of `main:jobs` the folder's name."""
    package, dot, _ = spec.partition(":")[0].partition(".")
    return _plain(package if dot or package not in _SAYS_NOTHING else directory.name) or "tabur"


def this_executable() -> tuple[str, ...]:
    """How the command that runs now is started by somebody else: absolute, its environment
    included."""
    if Path(sys.argv[0]).stem == "tabur" and Path(sys.argv[0]).is_file():
        return (str(Path(sys.argv[0]).absolute()),)
    installed = Path(sysconfig.get_path("scripts")) / Path("tabur").with_suffix(_EXE)
    return (str(installed),) if installed.is_file() else (sys.executable, "-m", "tabur")


def join(directory: str, *parts: str) -> str:
    """A path below `directory`, as the machine writes it that has such a folder."""
    separator = "\\" if "\\" in directory and not directory.startswith("/") else "/"
    return separator.join((directory.rstrip(separator), *parts))


def _split(app: Tabur, given: str) -> tuple[str, str]:
    """Connection and queues of `[CONNECTION:]QUEUE,…`. Raises ConfigError."""
    connection, colon, queues = given.partition(":")
    if not colon or connection not in CONNECTIONS:  # `mail:1-4` are limits for --balance
        connection, queues = app.connection, given
    if connection not in app.connections:
        known = ", ".join(app.connections)
        raise ConfigError(
            f"--queue={given}: this app has no connection {connection!r}; there are: {known}. For "
            "failover write one --queue for each of its connections: redis:default."
        )
    names = [check_name(each.strip(), "--queue") for each in queues.split(",")]
    return connection, ",".join(dict.fromkeys(names))


def _declared(app: Tabur, connection: str) -> str:
    default, *others = app.queues_of(connection)
    return ",".join([*others, default])


def _first(queues: str) -> str:
    return _plain(queues.partition(",")[0].partition(":")[0])


def _free(name: str, taken: Iterable[str]) -> str:
    return next(
        each
        for each in (name, *(f"{name}-{n}" for n in range(2, 10_000)))
        if each not in set(taken)
    )


def _plain(text: str) -> str:
    """As every format takes names: cron reads no file of cron.d that has a dot in it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


_SAYS_NOTHING = frozenset({"main", "app", "jobs", "queue", "web", "wsgi", "asgi", "src"})
_EXE = ".exe" if sys.platform == "win32" else ""
