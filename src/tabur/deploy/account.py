"""The user that workers belong to, on this machine: what it may read and write, and commands run in
its name."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
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

    def may(self, path: Path, what: int) -> bool:
        """Whether the user may read, or write, by owner, group and mode; root may all."""
        seen = path.stat()
        if self.uid in (0, seen.st_uid):
            return self.uid == 0 or bool(seen.st_mode >> 6 & what)
        shift = 3 if seen.st_gid in self._groups() else 0
        return bool(seen.st_mode >> shift & what)

    def give(self, path: Path) -> None:
        """Let it have the path. Raises OSError where this process may not."""
        if path.stat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid)

    def run(self, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """In its name, without rights of ours. Raises OSError where it may not even start that."""
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
            env=os.environ | ({"USER": self.name, "HOME": str(folder)} if other else {}),
        )

    def _groups(self) -> list[int]:
        import grp

        named = [each.gr_gid for each in grp.getgrall() if self.name in each.gr_mem]
        return [self.gid, *named]
