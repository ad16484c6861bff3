"""Signals from people to all workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tabur.drivers.redis import scripts
from tabur.drivers.redis.layout import hold, packed_pause, pause
from tabur.drivers.redis.link import Link, Word
from tabur.drivers.redis.scripts import Keys, Script
from tabur.model.records import Pause, Signals

#: The field of the hash of pauses that is the hold: no queue has this name.
_HOLD = b""


class RedisControl:
    """`epoch` counts the restarts, `moment` is the latest that was left, and the hash `pauses` says
    of each queue since when and until when it rests, and why."""

    def __init__(self, link: Link, keys: Keys, now: Callable[[], Word]) -> None:
        self._link = link
        self._keys = (keys["epoch"], keys["moment"], keys["pauses"])
        self._now = now

    def signals(self) -> Signals:
        now, restarts, moment, flat = self._link.run(
            scripts.SIGNALS, self._now(), keys=self._keys, again=True
        )
        words = iter(flat)
        kept = dict(zip(words, words, strict=True))
        held = kept.pop(_HOLD, None)
        pauses = [pause(queue, packed) for queue, packed in kept.items()]
        return Signals(
            now=now,
            restarts=int(restarts),
            moment=int(moment),
            pauses=tuple(each for each in pauses if each.lasts(now)),
            hold=None if held is None else hold(held),
        )

    def restart(self) -> int:
        restarts: int = self._link.ask("INCR", self._keys[0])
        return restarts

    def pause(self, pause: Pause) -> None:
        self._tell(scripts.PAUSE, pause.queue, packed_pause(pause.until, pause.reason))

    def resume(self, queue: str) -> bool:
        if not queue:
            return False
        now, packed = self._tell(scripts.RESUME, queue)
        return packed is not None and pause(queue.encode(), packed).lasts(now)

    def hold(self, reason: str) -> None:
        self._tell(scripts.PAUSE, _HOLD, packed_pause(None, reason))

    def release_hold(self) -> bool:
        _, packed = self._tell(scripts.RESUME, _HOLD)
        return packed is not None

    def advance(self) -> int:
        moment: int = self._tell(scripts.ADVANCE)
        return moment

    def _tell(self, script: Script, *words: Word) -> Any:
        """(Sent again where its answer was lost, it changes nothing more.)"""
        return self._link.run(
            script, self._now(), *words, keys=self._keys, again=True, durable=True
        )
