"""Many workers on one queue of MariaDB: whoever loses a deadlock does it again and tells nobody."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from servers.mariadb import MariaDBServer
from tabur.drivers.contract import Exchange, Filter
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Dispatch, FollowUp, Transition, Unblock
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation, State
from tabur.testing.conformance import move

WORKERS, PAIRS, ROOM = 8, 600, 20


@pytest.fixture
def url(mariadb_server: MariaDBServer) -> str:
    return mariadb_server.create_database(f"contention_{new_id().hex()}")


def test_workers_with_retries_and_follow_ups_lose_nothing_and_starve_nobody(url: str) -> None:
    """Each first job fails once, then unblocks its second, which dispatches a third."""
    driver = DatabaseDriver(url)
    driver.migrate()
    for _ in range(PAIRS):
        second = _new("second", blockers=1)
        driver.dispatching.dispatch([_new("first", payload=second.id), second])
    crowd = [_Worker(url, n) for n in range(WORKERS)]
    together(crowd)

    completed = Filter(states=(State.COMPLETED,))
    assert driver.inspection.count(completed, at_most=10_000) == 3 * PAIRS
    assert driver.inspection.count(Filter(), at_most=10_000) == 3 * PAIRS
    ended = sum((each.ended for each in crowd), Counter[bytes]())
    assert len(ended) == 3 * PAIRS
    assert set(ended.values()) == {1}
    share = 3 * PAIRS / WORKERS
    assert min(each.ended.total() for each in crowd) > share / 4
    driver.close()


class _Worker(threading.Thread):
    """A driver of its own, as each process has."""

    def __init__(self, url: str, n: int) -> None:
        super().__init__()
        self.id = f"w{n}"
        self.ended: Counter[bytes] = Counter()
        self.error: BaseException | None = None
        self._driver = DatabaseDriver(url)

    def run(self) -> None:
        try:
            moves: list[Transition] = []
            idle = 0
            while idle < 20:
                claimed = self._turn(moves)
                moves = [self._ran(job) for job in claimed]
                idle = 0 if claimed else idle + 1
                if not claimed:
                    threading.Event().wait(0.005)
        except BaseException as error:
            self.error = error
        finally:
            self._driver.close()

    def _turn(self, moves: list[Transition]) -> list[ClaimedJob]:
        answer = self._driver.claiming.exchange(
            Exchange(
                worker=self.id,
                settle=moves,
                token=new_token(),
                queues=("default",),
                slots={Isolation.LOOP: ROOM},
            )
        )
        assert len(answer.settled) == len(moves)
        for transition in moves:
            if transition.to is State.COMPLETED:
                self.ended[transition.id] += 1
        return list(answer.claimed)

    def _ran(self, job: ClaimedJob) -> Transition:
        if job.name == "first" and job.attempts == 0:
            return move(job, State.PENDING, worker=self.id)
        follow_ups: tuple[FollowUp, ...] = ()
        if job.name == "first":
            follow_ups = (Unblock(job.payload),)
        if job.name == "second":
            follow_ups = (Dispatch(_new("third")),)
        return move(job, State.COMPLETED, worker=self.id, follow_ups=follow_ups)


def together(crowd: list[_Worker]) -> None:
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    for each in crowd:
        if each.error is not None:
            raise each.error


def _new(name: str, *, payload: bytes = b"{}", blockers: int = 0) -> NewJob:
    return NewJob(
        id=new_id(),
        name=name,
        queue="default",
        isolation=Isolation.LOOP,
        payload=payload,
        created_at=0,
        blockers=blockers,
    )
