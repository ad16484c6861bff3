"""A bare redis-py loop of scripts: records, what waits, who holds it, and outcomes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

import redis

from bench.adapter import BaseAdapter, url
from bench.bare.rows import PAYLOAD, RESULT, new_ids

DISPATCH = """
for n = 2, #ARGV do
    redis.call('HSET', KEYS[1], ARGV[n], ARGV[1])
    redis.call('RPUSH', KEYS[2], ARGV[n])
end"""
TURN = """
local token, batch, result = ARGV[1], tonumber(ARGV[2]), ARGV[3]
for n = 5, #ARGV do
    if redis.call('HGET', KEYS[3], ARGV[n]) == ARGV[4] then
        redis.call('HDEL', KEYS[3], ARGV[n])
        redis.call('RPUSH', KEYS[4], ARGV[n] .. ARGV[4] .. result)
    end
end
local ids = redis.call('LPOP', KEYS[2], batch)
if not ids then return {} end
for _, id in ipairs(ids) do redis.call('HSET', KEYS[3], id, token) end
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}"""
PIECE = 1_000  # arguments of one script; Lua's stack holds 8,000
KEYS = ["{bare}:records", "{bare}:ready", "{bare}:held", "{bare}:outcomes"]


class Adapter(BaseAdapter):
    """One connection; every dispatch and every turn is one script."""

    def prepare(self) -> None:
        self._redis = redis.Redis.from_url(url())
        self._dispatch = self._redis.register_script(DISPATCH)
        self._turn = self._redis.register_script(TURN)

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        for _ in numbers:
            self._dispatch(KEYS[:2], [PAYLOAD, *new_ids(1)])

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        ids = new_ids(len(numbers))
        for first in range(0, len(ids), PIECE):
            self._dispatch(KEYS[:2], [PAYLOAD, *ids[first : first + PIECE]])

    def drain(self, batch: int) -> int:
        drained, token = 0, b""
        held: list[bytes] = []
        while True:
            before, token = token, os.urandom(16)
            answer = self._turn(KEYS, [token, batch, RESULT, before, *held])
            if not answer:
                return drained
            held, _ = answer
            drained += len(held)

    def close(self) -> None:
        self._redis.close()
