"""What the bench asks of a contestant: of us, of a bare loop, of a rival.

An adapter runs in its contestant's own environment, so this module needs nothing but Python. Where
it finds its store is in the environment: BENCH_URL, and BENCH_LEDGER, the file in which its jobs
are counted (bench/ledger.py). The module of an adapter defines a class named `Adapter`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence


class BaseAdapter:
    """One contestant on one store."""

    def prepare(self) -> None:
        """Make tables and connect; also called where they are made already."""

    def dispatch(self, n: int) -> None:
        """One job of this number, committed when it returns."""
        raise NotImplementedError

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        """One by one, as an application would in a loop: one after the other."""
        for n in numbers:
            self.dispatch(n)

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        """All in one call, or in the largest pieces its documentation offers. Where there is no
        such call: NotImplementedError."""
        raise NotImplementedError

    def unfinished(self) -> int:
        """How many have been dispatched and not settled. What a dispatch is worth is counted by
        it: it must be exact while no worker runs, and whenever it is zero."""
        raise NotImplementedError

    def workers(self, processes: int, slots: int) -> list[list[str]]:
        """Commands of its worker at its best settings for speed: so many processes together,
        whether by one command or by several. Rivals whose best number of slots is known use it."""
        raise NotImplementedError

    def quick_workers(self) -> list[list[str]]:
        """The command of its worker at its best settings for a quick pick-up: one process."""
        return self.workers(1, 10)

    def drain(self, batch: int) -> int:
        """Bare loops only: claim and settle in this process until nothing is left."""
        raise NotImplementedError

    def schedule_many(self, numbers: Sequence[int]) -> None:
        """As `dispatch_many`, of jobs that are due a year from now."""
        raise NotImplementedError

    def claim_and_settle(self, count: int, batch: int) -> tuple[list[float], list[float]]:
        """Claim and settle `count` jobs through the driver, without running them: seconds of each
        claim, and of each settle."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what `prepare` has opened."""


def python(*arguments: str) -> list[str]:
    """A command of the environment this runs in."""
    return [sys.executable, *arguments]


def url(driver: str | None = None) -> str:
    """Where the store is; `driver` replaces the one named in it (`postgresql+psycopg://`)."""
    scheme, _, rest = os.environ["BENCH_URL"].partition("://")
    return f"{driver or scheme.partition('+')[0]}://{rest}"
