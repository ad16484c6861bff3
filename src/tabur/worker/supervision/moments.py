"""Telling a store that was restored from a backup: workers keep the latest moment that they have
seen in it, outside of it. A store that knows only an earlier one has gone back.

Its jobs have run since, for all that anybody knows. So they are held until a person has looked
(`tabur queue:release-hold`).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from tabur.drivers.contract import Control
from tabur.model.clock import SECOND
from tabur.model.records import Signals

_log = logging.getLogger("tabur.worker")

#: Microseconds that a store may go back without being held: a crash of a server that writes its
#: disk once a second loses no more than that.
TOLERATED = 120 * SECOND


class Moments:
    """The latest moment seen in one store, kept in a file of its own in `folder`."""

    def __init__(self, folder: Path, store: str) -> None:
        self._file = folder / f"moment-{sha256(store.encode()).hexdigest()[:16]}"
        self._latest = 0
        self._was_held = False
        with suppress(OSError, ValueError):
            self._latest = int(self._file.read_text("ascii"))

    def check(self, signals: Signals, control: Control) -> bool:
        """Put the store on hold where it has gone back; answers whether it did. One that has no
        moment yet is a new one. Somebody who has released the hold has the last word."""
        if signals.hold is None and self._was_held:
            self.keep(signals.moment)
        self._was_held = signals.hold is not None
        gone_back = 0 < signals.moment < self._latest - TOLERATED and signals.hold is None
        if gone_back:
            now, then = (
                datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
                for moment in (self._latest, signals.moment)
            )
            control.hold(
                f"It knows nothing after {then} UTC, and was seen here at {now} UTC: it looks like "
                "a backup that was restored."
            )
        elif signals.moment > self._latest:
            self.keep(signals.moment)
        return gone_back

    def keep(self, moment: int) -> None:
        self._latest = moment
        try:
            beside = self._file.with_name(f".{self._file.name}")
            beside.write_text(str(moment), "ascii")
            beside.replace(self._file)
        except OSError as error:
            _log.warning("A restore of the store could not be told: %s", error)
