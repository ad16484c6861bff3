"""The database driver on SQLite against the model, by random steps."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from tabur.drivers.database.driver import DatabaseDriver
from tabur.testing.conformance import Clock
from tabur.testing.state_machine import state_machine
from tests.effort import ceiling, effort


class OnFreshFile(DatabaseDriver):
    """Each run has a file of its own, removed at its end."""

    def __init__(self, clock: Clock) -> None:
        self._folder = TemporaryDirectory(prefix="tabur-")
        super().__init__(f"sqlite:///{self._folder.name}/jobs.sqlite3", clock=clock)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()


# Where it fails, finding the shortest story takes its time.
TestSqlite = ceiling()(state_machine(OnFreshFile).TestCase)
TestSqlite.settings = effort(20)
