"""Some hundred odd payloads on each server: none kills a worker, no server loses or bends one."""

from __future__ import annotations

import pytest

from tabur import State
from tests.bad_input.trial import Trial
from tests.stores import places
from tests.worker.workshop import Workshop

SEED = 7


@pytest.fixture(params=["postgres", "mariadb", "redis"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    server = request.getfixturevalue(f"{request.param}_server")
    return {
        "postgres": lambda: places.postgres(server, "bad_input"),
        "mariadb": lambda: places.mariadb(server, "bad_input"),
        "redis": lambda: places.redis(server, 8),
    }[request.param]()


def test_some_hundred_odd_jobs_and_their_neighbours(shop: Workshop) -> None:
    trial = Trial(shop, SEED)
    for _ in range(6):
        trial.add_batch(100)
    trial.add_runs()
    ended = trial.judge()
    assert trial.accepted.refused["PayloadError"] > 50
    assert len(trial.accepted.jobs) > 50
    assert ended[State.FAILED] > 150
