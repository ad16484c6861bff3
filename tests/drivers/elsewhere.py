"""Dispatching and advancing from another process, through a driver of its own."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence

import msgspec

from tabur.model.records import NewJob
from tabur.model.schedules import Advance
from tabur.testing.conformance.subject import AdvanceElsewhere

_DATABASE = """
from tabur.drivers.database.driver import DatabaseDriver
driver = DatabaseDriver(sys.argv[1])
"""
_REDIS = """
from tabur.drivers.redis.driver import RedisDriver
driver = RedisDriver(sys.argv[1], prefix=sys.argv[2])
"""
_READ = """
import base64, sys, msgspec
from tabur.model.records import NewJob
from tabur.model.schedules import Advance
given = base64.b64decode(sys.stdin.read())
"""
_DISPATCH = """
driver.dispatching.dispatch([msgspec.msgpack.decode(given, type=NewJob)])
driver.close()
"""
_ADVANCE = """
for move in msgspec.msgpack.decode(given, type=list[Advance]):
    print(int(driver.schedules.advance([move])[0]))
driver.close()
"""


def dispatching_elsewhere(url: str, *, prefix: str | None = None) -> Callable[[NewJob], None]:
    """With the prefix of its keys on Redis, without one in a database."""

    def dispatch(job: NewJob) -> None:
        _run(_DISPATCH, job, url, prefix)

    return dispatch


def advancing_elsewhere(url: str, *, prefix: str | None = None) -> AdvanceElsewhere:
    def advance(moves: Sequence[Advance]) -> Sequence[bool]:
        return [answer == "1" for answer in _run(_ADVANCE, moves, url, prefix).split()]

    return advance


def _run(program: str, given: object, url: str, prefix: str | None) -> str:
    driver, words = (_DATABASE, [url]) if prefix is None else (_REDIS, [url, prefix])
    command = [sys.executable, "-c", f"{_READ}{driver}{program}", *words]
    encoded = b64encode(msgspec.msgpack.encode(given)).decode()
    ended = subprocess.run(command, input=encoded, check=True, text=True, stdout=subprocess.PIPE)
    return ended.stdout
