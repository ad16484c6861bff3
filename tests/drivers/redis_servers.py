"""Short words of the tests that start Redis servers of their own."""

from __future__ import annotations

import time
from collections.abc import Callable

from servers.redis import RedisServer
from tabur.drivers.contract import Exchange
from tabur.drivers.redis.driver import RedisDriver
from tabur.model.ids import new_id, new_token
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import Isolation

SLOTS = {Isolation.THREAD: 10}


def new_job(*, payload: bytes = b"{}") -> NewJob:
    return NewJob(
        id=new_id(),
        name="job",
        queue="default",
        isolation=Isolation.THREAD,
        payload=payload,
        created_at=time.time_ns() // 1000,
    )


def claim(driver: RedisDriver, slots: int = 10) -> list[ClaimedJob]:
    turn = Exchange(
        worker="w1", token=new_token(), queues=("default",), slots={Isolation.THREAD: slots}
    )
    return list(driver.claiming.exchange(turn).claimed)


Start = Callable[..., RedisServer]
Connect = Callable[..., RedisDriver]
