"""Payloads and results under another key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tabur.drivers.contract import Body, Rewrite
from tabur.drivers.redis import scripts
from tabur.drivers.redis.layout import with_payload, with_result
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys

#: Bytes that one script may be given: it is not to hold up the server.
BYTES_AT_ONCE = 4_000_000

_PLACES = {Body.PAYLOAD: ("jobs", with_payload), Body.RESULT: ("outcomes", with_result)}


def rewrite(link: Link, keys: Keys, changes: Sequence[Rewrite], now: Word) -> int:
    return sum(
        link.run(scripts.REWRITE, now, *words, again=True, durable=True)
        for words in _parts(link, keys, changes)
    )


def _parts(link: Link, keys: Keys, changes: Sequence[Rewrite]) -> Iterator[list[Word]]:
    """What the script is to compare and to put: all that Redis keeps beside the body, with it."""
    words: list[Word] = []
    size = 0
    for each in changes:
        place, with_body = _PLACES[each.body]
        stood: bytes | None = link.ask("HGET", keys[place], each.id)
        after = None if stood is None else with_body(stood, each.before, each.after)
        if stood is None or after is None:
            continue
        words += (each.body.value, each.id, stood, after)
        size += len(stood) + len(after)
        if size >= BYTES_AT_ONCE:
            yield words
            words, size = [], 0
    if words:
        yield words
