"""Whom workers run as: never root by accident."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tabur.errors import ConfigError

ROOT = "root"


def worker_user(given: str | None, directory: Path) -> str:
    """`given`; else whom the app's folder belongs to, else who runs this command. Raises
    ConfigError where only root is left: a worker needs none of its rights, and whoever finds a hole
    in a job would have them all."""
    if given is not None:
        if not given or given.startswith("-") or re.search(r"[\s:,\"']", given):
            raise ConfigError(f"--user={given!r} is no name of a user.")
        return given
    owner = _owner(directory)
    if owner is not None:
        return owner
    raise ConfigError(
        f"Which user? {directory} belongs to root, and workers need no rights of root. Make a user "
        "of their own: useradd --system --user-group --shell /usr/sbin/nologin NAME; then --user "
        "NAME. (If you mean it: --user root.)"
    )


def is_known(user: str) -> bool:
    """Whether this machine has such a user; a number is taken as it is."""
    return user.isdecimal() or _entry(user) is not None


def home_of(user: str) -> str | None:
    """The user's home, where this machine knows it and it needs no quotes."""
    entry = _entry(user)
    home = entry[1] if entry else ""
    return home if re.fullmatch(r"/[\w/.+-]*", home, re.ASCII) else None


def numbers_of(user: str) -> tuple[int, int] | None:
    """User and group by their numbers; None: not known here."""
    if user.isdecimal():
        return int(user), int(user)
    entry = _entry(user)
    return entry[0] if entry else None


def _owner(directory: Path) -> str | None:
    if not hasattr(os, "getuid"):
        import getpass

        return getpass.getuser()
    for number in (_uid(directory), os.getuid()):
        if number:
            return _name(number)
    return None


def _uid(directory: Path) -> int:
    try:
        return directory.stat().st_uid
    except OSError:
        return 0  # of another machine: nothing is known of it


def _name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _entry(user: str) -> tuple[tuple[int, int], str] | None:
    """Numbers of user and group, and home."""
    try:
        import pwd

        found = pwd.getpwnam(user)
    except (ImportError, KeyError):
        return None
    return (found.pw_uid, found.pw_gid), found.pw_dir
