"""Telling that code has changed: by the system where `watchfiles` is installed, else by looking."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

#: Seconds between two looks.
LOOK = 0.5
ENDINGS = (".py", ".toml", ".env")
#: Folders that are never the project's own code.
PASSED_OVER = frozenset(
    {"__pycache__", "node_modules", "site-packages", "var", "venv", "dist", "build"}
)


def watch(folder: Path, changed: Callable[[list[str]], None], *, poll: bool = False) -> None:
    """Call `changed` with the files, relative to `folder`, whenever some have; from a thread that
    ends with the process."""
    work = _look if poll else _watch_or_look
    threading.Thread(target=work, args=(folder, changed), name="tabur-watch", daemon=True).start()


def _watch_or_look(folder: Path, changed: Callable[[list[str]], None]) -> None:
    try:
        import watchfiles
    except ModuleNotFoundError:
        _look(folder, changed)
        return
    for changes in watchfiles.watch(
        folder,
        watch_filter=lambda _, path: _counts(Path(path), folder),
        raise_interrupt=False,
        step=50,
        debounce=200,
    ):
        changed(sorted({str(Path(path).relative_to(folder)) for _, path in changes}))


def _look(folder: Path, changed: Callable[[list[str]], None]) -> None:
    pause = threading.Event()
    before = _moments(folder)
    while not pause.wait(LOOK):
        now = _moments(folder)
        if now != before:
            names = {name for name, _ in now.items() ^ before.items()}
            before = now
            changed(sorted(names))


def _moments(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file was changed, and its size."""
    found = {}
    for path in _files(str(folder)):
        try:
            seen = os.stat(path)
        except OSError:
            continue  # gone since
        found[os.path.relpath(path, folder)] = (seen.st_mtime_ns, seen.st_size)
    return found


def _files(folder: str) -> Iterator[str]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not _is_passed_over(entry.name):
                yield from _files(entry.path)
        elif entry.name.endswith(ENDINGS):
            yield entry.path


def _counts(path: Path, folder: Path) -> bool:
    try:
        above = path.relative_to(folder).parts[:-1]
    except ValueError:
        return False
    return path.name.endswith(ENDINGS) and not any(_is_passed_over(part) for part in above)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in PASSED_OVER
