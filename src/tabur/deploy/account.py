"""The user that workers belong to, on this machine. Root writes and runs the app in its name, for
that user's links may lead anywhere, and its code may do anything."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READ, WRITE = 0o4, 0o2


@dataclass(frozen=True)
class Account:
    name: str
    uid: int
    gid: int

    @property
    def is_me(self) -> bool:
        return self.uid == os.geteuid()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """What is done to files within is what this user may do."""
        if self.is_me:
            yield
            return
        before = os.geteuid(), os.getegid(), os.getgroups()
        os.setgroups(self._groups())
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(before[0])
            os.setegid(before[1])
            os.setgroups(before[2])

    def may(self, path: Path, what: int) -> bool:
        """Whether the user may read, or write, by owner, group and mode; root may all."""
        seen = path.stat()
        if self.uid in (0, seen.st_uid):
            return self.uid == 0 or bool(seen.st_mode >> 6 & what)
        shift = 3 if seen.st_gid in self._groups() else 0
        return bool(seen.st_mode >> shift & what)

    def give(self, path: Path, *, below: Path) -> None:
        """Let it have a file or folder in the folder `below`, reached without any link. Raises
        OSError."""
        *folders, name = path.relative_to(below).parts
        door = os.open(below, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for each in folders:
                inner = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=door)
                os.close(door)
                door = inner
            seen = os.stat(name, dir_fd=door, follow_symlinks=False)
            another_name = stat.S_ISREG(seen.st_mode) and seen.st_nlink > 1
            if stat.S_ISLNK(seen.st_mode) or another_name:
                raise OSError(errno.ELOOP, "It is a link", str(path))
            os.chown(name, self.uid, self.gid, dir_fd=door, follow_symlinks=False)
        finally:
            os.close(door)

    def run(self, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """A command in its name. Raises OSError where it may not even start that."""
        other = not self.is_me
        return subprocess.run(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=self._groups() if other else None,
            env=self._environment(folder),
        )

    def _environment(self, folder: Path) -> dict[str, str]:
        own = {} if self.is_me else {"USER": self.name, "HOME": str(folder)}
        return dict(os.environ) | own

    def _groups(self) -> list[int]:
        import grp

        named = [each.gr_gid for each in grp.getgrall() if self.name in each.gr_mem]
        return [self.gid, *named]
