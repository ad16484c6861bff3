"""A claim whose answer is lost on the way back: its jobs are held by nobody, and must run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tabur import State, Tabur
from tabur.drivers.contract import Claiming, Exchange, Exchanged
from tabur.errors import StoreUnavailable
from tabur.model.states import Isolation
from tabur.worker.board import Board
from tabur.worker.options import WorkOptions
from tabur.worker.running import pump as pumping
from tabur.worker.running.lines import Silence
from tabur.worker.running.pump import Pump
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.slots import ThreadSlots


class Unreliable:
    """Claiming of which chosen calls do as they are asked, or nothing, and then do not answer."""

    def __init__(self, inner: Claiming, *, unanswered: int = 0, refused: int = 0) -> None:
        self._inner = inner
        self._unanswered = unanswered
        self._refused = refused

    def exchange(self, turn: Exchange) -> Exchanged:
        answer = self._inner.exchange(turn)
        if self._unanswered:
            self._unanswered -= 1
            raise StoreUnavailable("the answer is lost")
        return answer

    def release_token(self, token: bytes) -> int:
        if self._refused:
            self._refused -= 1
            raise StoreUnavailable("still down")
        return self._inner.release_token(token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tabur], None]:
    monkeypatch.setattr(pumping, "sleep", lambda _: None)

    def work(app: Tabur) -> None:
        """Until nothing is left."""
        runtime = app.runtime
        options = WorkOptions(stop_when_empty=True)
        pump = Pump(runtime, options, "worker", StoreReporter(runtime), Silence(), board=Board())
        slots = ThreadSlots(10, runtime.scope, pump.done)
        pump.run({Isolation.THREAD: slots})
        slots.close()

    return work


@pytest.mark.parametrize(("unanswered", "refused"), [(1, 0), (3, 0), (1, 1), (1, 3), (3, 3)])
def test_what_was_claimed_without_an_answer_runs_once(
    work: Callable[[Tabur], None], unanswered: int, refused: int
) -> None:
    app = Tabur("memory")
    ran: list[int] = []

    @app.job()
    def note(n: int) -> None:
        ran.append(n)

    handles = [note.dispatch(n=n) for n in range(5)]
    app.driver.claiming = Unreliable(app.driver.claiming, unanswered=unanswered, refused=refused)

    work(app)

    assert sorted(ran) == [0, 1, 2, 3, 4]
    assert {(each.status().state, each.status().attempt) for each in handles} == {
        (State.COMPLETED, 1)
    }
