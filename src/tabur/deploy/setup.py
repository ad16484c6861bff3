"""The set-up of a machine for an app: each step looks first, and does only what is missing, so that
a second run changes nothing."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from tabur.config import VARIABLES
from tabur.deploy import envfile
from tabur.deploy.account import READ, WRITE, Account
from tabur.deploy.machine import Manager
from tabur.deploy.plan import File, Plan
from tabur.errors import ConfigError, refuse
from tabur.jobs.keyring import new_key

KEY = "TABUR_KEY"
_DIFFERS = "It is not what would be written now, and is left as it is. --force renews it."


class State(StrEnum):
    ALREADY = "AS IT IS"
    DONE = "DONE"
    WOULD = "WOULD BE DONE"
    FAILED = "FAILED"
    LEFT = "LEFT FOR YOU"


@dataclass(frozen=True)
class Step:
    """`todo` says what a human has to do, where there is something."""

    what: str
    state: State
    todo: str = ""


@dataclass(frozen=True)
class Facts:
    """What the app says of itself: told by a process of the user's, so nothing here is believed
    beyond what that user may do."""

    plan: Plan
    database_url: str
    run: str
    attachments: str


@dataclass(frozen=True)
class Setup:
    """`root`: of the file system that services are installed into. `dry`: nothing is done."""

    folder: Path
    account: Account
    dry: bool = False
    root: Path = Path("/")
    force: bool = False

    def environment(self, file: Path, values: Mapping[str, str]) -> Iterator[Step]:
        """The file has a key and what this shell sets, for services are not started from it."""
        if file.exists() and not self.account.may(file, READ):
            yield self._give(f"{file.name}: readable for {self.account.name}", file)
        text = self.read(file)
        there = {name for name, value in envfile.read(text).items() if value}
        wanted = {name: values[name] for name in VARIABLES if values.get(name)}
        wanted.setdefault(KEY, new_key())
        lines = []
        for name in [each for each in wanted if each not in there]:
            try:
                lines.append(envfile.line(name, wanted[name]))
            except ConfigError as error:
                yield Step(f"{name} in {file.name}", State.LEFT, str(error))
        names = ", ".join(each.partition("=")[0] for each in lines)
        if lines:
            added = "\n".join([*_break_after(text), *lines, ""])
            yield self._do(f"{file.name}: {names}", partial(_append, file, added), file)
        else:
            yield Step(f"{file.name} has its settings", State.ALREADY)
        if file.exists() and (mode := file.stat().st_mode & 0o7777) & 0o007:
            what = f"{file.name}: unreadable for others"  # it holds secrets
            yield self._do(what, partial(file.chmod, mode & ~0o007), file)

    def folders(self, facts: Facts) -> Iterator[Step]:
        """Where workers write: theirs, and nobody else's."""
        sqlite = _sqlite_file(facts.database_url)
        wanted = [Path("var"), Path("var/log"), Path(facts.run), Path(facts.attachments)]
        if sqlite is not None:
            wanted.append(sqlite.parent)
        for each in dict.fromkeys(self.folder / path for path in wanted):
            if each.is_dir():
                yield self._writable(each)
            else:
                yield self._do(f"folder {self._shown(each)}", partial(_make, each), each)
        if sqlite is not None:
            for end in ("", "-wal", "-shm"):
                file = (self.folder / sqlite).with_name(sqlite.name + end)
                if file.exists() and not self.account.may(file, WRITE):
                    yield self._writable(file)

    def tables(self, tabur: list[str]) -> Iterator[Step]:
        """Made in the user's name, which shows that it can start the app and reach its stores."""
        if self.dry:
            yield Step("tables of Tabur (tabur migrate)", State.WOULD)
            return
        done = self._as_user([*tabur, "migrate"])
        if isinstance(done, Step):
            yield done
        elif done.returncode:
            yield Step("tables of Tabur", State.FAILED, _last(done.stderr))
        elif "Nothing to migrate" in done.stdout:
            yield Step("tables of Tabur", State.ALREADY)
        else:
            yield Step("tables of Tabur", State.DONE)

    def stores(self, tabur: list[str]) -> Iterator[Step]:
        """What `tabur about` finds wrong, but for workers: they are not started yet."""
        if self.dry:
            yield Step("look at the stores (tabur about)", State.WOULD)
            return
        done = self._as_user([*tabur, "about", "--json"])
        if isinstance(done, Step):
            yield done
            return
        try:
            seen = json.loads(done.stdout)
        except ValueError:
            yield Step("the store", State.FAILED, _last(done.stderr))
            return
        for name, each in {seen["connection"]: seen["health"], **seen["others"]}.items():
            wrong = [one for one in each["problems"] if not one["todo"].startswith("Start one")]
            if each["store"] and not any(one["level"] == "error" for one in wrong):
                yield Step(f"{name}: {each['store'].get('store', 'answers')}", State.ALREADY)
            for one in wrong:
                state = State.FAILED if one["level"] == "error" else State.LEFT
                yield Step(f"{name}: {one['what']}", state, one["todo"])

    def files(self, found: list[Manager]) -> Iterator[Step]:
        """In `deploy/`, for each manager of the machine."""
        for each in [file for manager in found for file in manager.files]:
            yield self._file(self.folder / "deploy" / each.name, each.text)

    def install(self, manager: Manager) -> Iterator[Step]:
        """Where the manager looks; then it is told."""
        changed = False
        for each in manager.files:
            step = self._file(self._target(each), each.text, as_root=True)
            changed |= step.state in (State.DONE, State.WOULD)
            yield step
        if not changed:
            return
        for words in manager.reload:
            what = shlex.join(words)
            if self.root != Path("/"):
                yield Step(what, State.LEFT, f"On the machine itself: {what}")
            elif self.dry:
                yield Step(what, State.WOULD)
            else:
                yield _told(words)

    def installed(self, manager: Manager) -> Iterator[Step]:
        """What somebody has installed, looked at; nothing where that has not been done."""
        if all(self._target(each).exists() for each in manager.files):
            for each in manager.files:
                there = _read(self._target(each))
                todo = "" if there == each.text else _DIFFERS
                yield Step(str(self._target(each)), State.ALREADY, todo)

    def by_hand(self, manager: Manager) -> str:
        """The commands that `install` would have run."""
        folder = self.folder / "deploy"
        copies = [
            shlex.join(["sudo", "install", "-m", "644", str(folder / each.name), each.place])
            for each in manager.files
        ]
        return " && ".join([*copies, *(shlex.join(["sudo", *each]) for each in manager.reload)])

    # the steps themselves

    def read(self, file: Path) -> str:
        """As the user may; empty where it is not there. Raises ConfigError."""
        try:
            with self.account.acting():
                return _read(file) or ""
        except (OSError, UnicodeDecodeError) as error:
            return refuse(f"{file} cannot be read by {self.account.name}: {error}")

    def _do(self, what: str, do: Callable[[], None], path: Path) -> Step:
        """In the user's name; as root only where all folders above are root's, so that nobody else
        could have laid a link, and then it is given to the user."""
        if self.dry:
            return Step(what, State.WOULD)
        try:
            try:
                with self.account.acting():
                    do()
            except PermissionError:
                there = [each for each in path.parents if os.path.lexists(each)]
                roots = all(each.lstat().st_uid == 0 for each in there)
                if not (roots and self._may_give(path)):
                    raise
                do()
                for each in (path, *path.parents[: -len(there)]):
                    self.account.give(each, below=self.folder)
        except OSError as error:
            return Step(what, State.FAILED, f"{error.strerror}: {error.filename or path}")
        return Step(what, State.DONE)

    def _writable(self, path: Path) -> Step:
        what = f"{self._shown(path)} writable for {self.account.name}"
        if self.account.may(path, WRITE):
            return Step(what, State.ALREADY)
        return self._give(what, path)

    def _give(self, what: str, path: Path) -> Step:
        if self.dry:
            return Step(what, State.WOULD)
        if self._may_give(path):
            with suppress(OSError):
                self.account.give(path, below=self.folder)
                return Step(what, State.DONE)
        return Step(what, State.FAILED, shlex.join(["sudo", "chown", self.account.name, str(path)]))

    def _may_give(self, path: Path) -> bool:
        """As root, and only what this set-up is about: where workers write, the app itself says,
        and it must not get a folder of the system's, or its own code, by saying so."""
        if os.geteuid() != 0 or not path.is_relative_to(self.folder):
            return False
        return path.relative_to(self.folder).parts[:1] in (("var",), (".env",), ("deploy",))

    def _file(self, target: Path, text: str, *, as_root: bool = False) -> Step:
        what = self._shown(target)
        there = _read(target) if as_root else self.read(target)
        if there == text:
            return Step(what, State.ALREADY)
        if there and not self.force:
            return Step(what, State.ALREADY, _DIFFERS)
        if not as_root:
            return self._do(what, partial(_write, target, text), target)
        if self.dry:
            return Step(what, State.WOULD)
        try:
            _write(target, text)
        except OSError as error:
            return Step(what, State.FAILED, f"{error.strerror}: {target}")
        return Step(what, State.DONE)

    def _target(self, file: File) -> Path:
        return self.root / file.place.lstrip("/")

    def _as_user(self, words: list[str]) -> subprocess.CompletedProcess[str] | Step:
        try:
            return self.account.run(words, self.folder)
        except OSError as error:
            return Step(
                f"{self.account.name} starts {words[0]}",
                State.FAILED,
                f"{error.strerror}. Put app and environment where {self.account.name} may read "
                "them, such as /srv.",
            )

    def _shown(self, path: Path) -> str:
        with suppress(ValueError):
            return str(path.relative_to(self.folder))
        return str(path)


def _break_after(text: str) -> list[str]:
    """What ends a last line that has no end yet."""
    return [] if not text or text.endswith("\n") else [""]


def _append(file: Path, text: str) -> None:
    """A new file is its owner's alone from the beginning."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


def _make(folder: Path) -> None:
    """With all above it, and for nobody else."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(0o750)


def _read(file: Path) -> str | None:
    return file.read_text("utf-8") if file.exists() else None


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    target.chmod(0o644)


def _told(words: tuple[str, ...]) -> Step:
    what = shlex.join(words)
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        return Step(what, State.FAILED, f"{error.strerror}. Run it yourself: {what}")
    if done.returncode:
        said = _last(done.stderr or done.stdout)
        return Step(what, State.FAILED, f"{said} Run it yourself: {what}")
    return Step(what, State.DONE)


def _sqlite_file(url: str) -> Path | None:
    scheme, _, file = url.partition(":///")
    name = file.partition("?")[0]
    return Path(name) if scheme.startswith("sqlite") and name and name != ":memory:" else None


def _last(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1].removeprefix("tabur: ") if lines else "It says nothing."
