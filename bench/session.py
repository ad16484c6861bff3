"""One run of the bench: who is measured, what was found, and how a part that fails is survived."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType

from bench.contestants import Contestant
from bench.figures import Figures
from bench.plan import Plan
from bench.stores import Store


@dataclass
class Session:
    plan: Plan
    everybody: Mapping[str, Contestant]
    figures: Figures = field(default_factory=Figures)
    repetition: int = 0

    def contestants(self, store: Store) -> list[Contestant]:
        return [each for each in self.everybody.values() if store.name in each.stores]

    def rivals(self, store: Store) -> list[Contestant]:
        return [each for each in self.contestants(store) if each.name not in ("tabur", "bare")]

    def workers(self, store: Store) -> list[Contestant]:
        """Everybody who has a worker: not the bare loop."""
        return [each for each in self.contestants(store) if each.name != "bare"]

    def has(self, name: str, store: Store) -> bool:
        return name in self.everybody and store.name in self.everybody[name].stores

    @contextlib.contextmanager
    def attempt(self, what: str, *, seconds: float) -> Iterator[None]:
        """A part of the run, with a limit of time. When it fails, that is kept, and the run goes
        on: what was measured before stays."""

        def give_up(signum: int, frame: FrameType | None) -> None:
            raise TimeoutError(f"not done after {seconds:g} s")

        before = signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        started = time.perf_counter()
        try:
            yield
        except Exception as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.figures.failures[what] = f"{type(error).__name__}: {error}"[:2_000]
            print(f"{what} FAILED: {error}", file=sys.stderr)
            traceback.print_exc(limit=-3)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        took = time.perf_counter() - started
        if took > 0.5:
            print(f"  {what}: {took:.1f} s", file=sys.stderr)
