"""Folders, log files and the disk of this host, for those whom workers run as."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tabur.model.findings import Finding, Level
from tabur.operations.doctor.patient import Patient, User

#: Bytes free below which a disk is nearly full (if it is also less than that share), and full.
NEARLY_FULL, SHARE, FULL = 1_000_000_000, 0.1, 100_000_000
_READ, _WRITE, _ENTER = 4, 2, 1


def about_folders(patient: Patient) -> Iterator[Finding]:
    settings = patient.settings
    file = _database_file(patient)
    for user in patient.users:
        yield from _writable(
            settings.run, user, Level.WARNING, "TABUR_RUN: tabur health does not see its workers"
        )
        yield from _writable(
            settings.attachments, user, Level.ERROR, "TABUR_ATTACHMENTS: jobs cannot attach files"
        )
        if file is not None:
            yield from _writable(
                file.parent, user, Level.ERROR, "the folder of DATABASE_URL: nothing can be kept"
            )
            yield from _file_writable(file, user, "the file of DATABASE_URL: nothing can be kept")
    for path in (settings.run, settings.attachments, file):
        if path is not None and path.exists() and path.stat().st_mode & stat.S_IWOTH:
            yield Finding(
                "open-to-all",
                Level.WARNING,
                f"{path} may be written by every user of this machine.",
                f"chmod o-w {path}",
            )


def about_logs(patient: Patient) -> Iterator[Finding]:
    for path in _log_files(patient.logs):
        for user in patient.users:
            if path.is_dir():
                yield from _writable(
                    path, user, Level.ERROR, "logs are lost", name="log-unwritable"
                )
            elif path.exists():
                yield from _file_writable(path, user, "logs are lost", name="log-unwritable")
            else:
                yield from _writable(
                    path.parent, user, Level.ERROR, "logs are lost", name="log-unwritable"
                )


def about_disk(patient: Patient) -> Iterator[Finding]:
    file = _database_file(patient)
    places = [patient.settings.run, patient.settings.attachments, *patient.logs]
    places += [file.parent] if file is not None else []
    seen: set[int] = set()
    for place in places:
        there = _nearest(place)
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        disk = shutil.disk_usage(there)
        if disk.free < FULL or (disk.free < NEARLY_FULL and disk.free < SHARE * disk.total):
            full = disk.free < FULL
            yield Finding(
                "disk-full" if full else "disk-nearly-full",
                Level.ERROR if full else Level.WARNING,
                f"The disk of {place} has {disk.free / 1_000_000:,.0f} MB left of "
                f"{disk.total / 1_000_000:,.0f}.",
                "Make room: old logs, attachments, finished jobs (keep_completed), failed jobs "
                "(tabur queue:flush --hours=720).",
            )


def _log_files(given: Iterable[Path]) -> Iterator[Path]:
    for path in given:
        yield path
        if path.is_dir():
            yield from sorted(each for each in path.iterdir() if each.is_file())


def _database_file(patient: Patient) -> Path | None:
    if "database" not in patient.stores:
        return None
    try:
        url = make_url(patient.settings.database_url)
    except (ArgumentError, ValueError):
        return None  # told by who opens the store
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None


def _writable(
    folder: Path, user: User, level: Level, loss: str, *, name: str = "folder-unwritable"
) -> Iterator[Finding]:
    there = _nearest(folder)
    if may(user, there, _WRITE | _ENTER):
        return
    what = f"{folder} cannot be written by {user.name}"
    if there != folder.absolute():
        what = f"{folder} is not there, and {user.name} cannot make it in {there}"
    yield _refused(name, level, f"{what} ({_rights(there)}), {loss}.", folder, user)


def _file_writable(
    file: Path, user: User, loss: str, *, name: str = "folder-unwritable"
) -> Iterator[Finding]:
    if file.exists() and not may(user, file, _READ | _WRITE):
        what = f"{file} cannot be written by {user.name} ({_rights(file)}), {loss}."
        yield _refused(name, Level.ERROR, what, file, user)


def _refused(name: str, level: Level, what: str, path: Path, user: User) -> Finding:
    make = f"mkdir -p {path} && " if not path.exists() and not path.suffix else ""
    return Finding(name, level, what, f"{make}chown -R {user.name} {path}")


def may(user: User, path: Path, wanted: int) -> bool:
    """Whether the modes of `path`, and of all folders above it, let a user do it."""
    if user.uid == 0:
        return True
    path = path.absolute()
    return all(_lets(user, each, _ENTER) for each in path.parents) and _lets(user, path, wanted)


def _lets(user: User, path: Path, wanted: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    if found.st_uid == user.uid:
        shift = 6
    elif found.st_gid in user.groups:
        shift = 3
    else:
        shift = 0
    return (found.st_mode >> shift) & wanted == wanted


def _nearest(path: Path) -> Path:
    """`path`, or the folder above it that is there."""
    path = path.absolute()
    while not os.path.lexists(path):
        path = path.parent
    return path


def _rights(path: Path) -> str:
    found = path.stat()
    return f"it belongs to {_owner(found.st_uid)}, mode {stat.S_IMODE(found.st_mode):o}"


def _owner(uid: int) -> str:
    try:
        return User.of(uid).name
    except (KeyError, ModuleNotFoundError):
        return str(uid)
