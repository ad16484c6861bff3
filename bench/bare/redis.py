"""A bare redis-py loop of scripts that write what Tabur's own scripts write for such a job.

The same keys: records, stands, a list of what waits, who holds what, outcomes, ends, and sizes by
queue; without what makes it safe and general (jobs known already, priorities, delays, follow-ups).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from hiredis import pack_command

from bench.adapter import BaseAdapter, url
from bench.bare.rows import PAYLOAD, RESULT, microseconds, new_ids

#: ARGV: record, ids.
DISPATCH = """
local jobs, work, lane, lanes, sizes, places = unpack(KEYS)
local place = redis.call('INCRBY', places, #ARGV - 1) - #ARGV + 1
local records, stands, entries = {}, {}, {}
for n = 2, #ARGV do
    local number = struct.pack('>I8', place + n - 1)
    records[#records + 1], records[#records + 2] = ARGV[n], ARGV[1]
    stands[#stands + 1], stands[#stands + 2] = ARGV[n], 'p' .. number
    entries[#entries + 1] = number .. ARGV[n]
end
redis.call('HSET', jobs, unpack(records))
redis.call('HSET', work, unpack(stands))
redis.call('ZADD', lanes, 0, lane)
redis.call('RPUSH', lane, unpack(entries))
redis.call('HINCRBY', sizes, 'p', #entries)"""
#: ARGV: token, batch, outcome, now, token before, ids that have ended.
TURN = """
local jobs, work, lane, lanes, sizes, places, outcomes, completed, claims = unpack(KEYS)
local token, batch, outcome, now, before = unpack(ARGV, 1, 5)
if #ARGV > 5 then
    local ids, kept, ended = {}, {}, {}
    for n = 6, #ARGV do ids[n - 5] = ARGV[n] end
    for n, stand in ipairs(redis.call('HMGET', work, unpack(ids))) do
        if string.sub(stand, 10) ~= before then return redis.error_reply('another token') end
        kept[2 * n - 1], kept[2 * n] = ids[n], now .. before .. outcome
        ended[2 * n - 1], ended[2 * n] = now, ids[n]
    end
    redis.call('HDEL', work, unpack(ids))
    redis.call('HSET', outcomes, unpack(kept))
    redis.call('ZADD', completed, unpack(ended))
    redis.call('SREM', claims .. before, unpack(ids))
    redis.call('ZREM', claims, before)
    redis.call('HINCRBY', sizes, 'r', -#ids)
end
local entries = redis.call('LPOP', lane, batch)
if not entries then return {} end
local ids, stands = {}, {}
for n, entry in ipairs(entries) do
    ids[n] = string.sub(entry, 9)
    stands[2 * n - 1], stands[2 * n] = ids[n], 'r' .. string.sub(entry, 1, 8) .. token
end
redis.call('HSET', work, unpack(stands))
redis.call('SADD', claims .. token, unpack(ids))
redis.call('ZADD', claims, 0, token)
redis.call('HINCRBY', sizes, 'p', -#ids)
redis.call('HINCRBY', sizes, 'r', #ids)
return {ids, redis.call('HMGET', jobs, unpack(ids))}"""
PIECE = 1_000  # jobs of one script: what `unpack` takes is limited
KEYS = [
    f"{{bare}}:{name}"
    for name in (
        *("jobs", "work", "lane", "lanes", "sizes", "places"),
        *("outcomes", "completed", "claims"),
    )
]


class Adapter(BaseAdapter):
    """One connection; every dispatch and every turn is one script, called by its SHA-1.

    Commands are packed by hiredis and go out on the connection itself: redis-py's own layers above
    it would cost more than Tabur's, and this would be no floor."""

    def prepare(self) -> None:
        self._redis = redis.Redis.from_url(url())
        self._connection: Any = self._redis.connection_pool.get_connection()
        self._dispatch = self._redis.script_load(DISPATCH)
        self._turn = self._redis.script_load(TURN)

    def dispatch_each(self, numbers: Iterable[int]) -> None:
        for _ in numbers:
            self._call(self._dispatch, KEYS[:6], PAYLOAD, *new_ids(1))

    def dispatch_many(self, numbers: Sequence[int]) -> None:
        ids = new_ids(len(numbers))
        for first in range(0, len(ids), PIECE):
            self._call(self._dispatch, KEYS[:6], PAYLOAD, *ids[first : first + PIECE])

    def unfinished(self) -> int:
        return int(self._redis.hlen(KEYS[1]))

    def drain(self, batch: int) -> int:
        """What has ended is settled and what is free is claimed in one script."""
        drained, token = 0, b""
        held: list[bytes] = []
        while True:
            before, token = token, os.urandom(16)
            now = microseconds()
            answer = self._call(self._turn, KEYS, token, batch, RESULT, now, before, *held)
            if not answer:
                return drained
            held, _ = answer
            drained += len(held)

    def _call(self, script: str, keys: Sequence[str], *arguments: Any) -> Any:
        packed = pack_command(("EVALSHA", script, len(keys), *keys, *arguments))
        self._connection.send_packed_command([packed])
        return self._connection.read_response()

    def close(self) -> None:
        self._redis.close()
