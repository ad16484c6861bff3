"""Small things to remember."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from tabur.drivers.redis import scripts
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys, Script
from tabur.model.schedules import Note, check_name, check_note


class RedisNotes:
    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys.of_notes()

    def read(self, prefix: str) -> Sequence[Note]:
        first: Word = "-"
        last: Word = "+"
        if prefix:
            check_name(prefix)
            first, last = f"[{prefix}", b"(%b\xff" % prefix.encode()  # no text holds this byte
        words = iter(self._link.run(scripts.NOTE_READ, first, last, keys=self._keys, again=True))
        return [
            Note(name.decode(), value[8:], int.from_bytes(value[:8], "big"))
            for name, value in zip(words, words, strict=True)
        ]

    def write(self, name: str, value: bytes, *, revision: int) -> bool:
        check_name(name)
        check_note(value)
        if not _is_possible(revision):
            return False
        kept = _REVISION.pack(revision + 1) + value
        return bool(self._write(scripts.NOTE_WRITE, name, _REVISION.pack(revision), kept))

    def erase(self, name: str, *, revision: int) -> bool:
        check_name(name)
        if not _is_possible(revision):
            return False
        return bool(self._write(scripts.NOTE_ERASE, name, _REVISION.pack(revision)))

    def _write(self, script: Script, *words: Word) -> Any:
        """Never sent twice: it would answer that it came too late."""
        return self._link.run(script, *words, keys=self._keys, durable=True)


def _is_possible(revision: int) -> bool:
    return 0 <= revision < 2**63


_REVISION = struct.Struct(">Q")
