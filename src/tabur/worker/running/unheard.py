"""Claims whose answer never came: the store counts them as this worker's, and nobody else may have
them while it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tabur.drivers.contract import Claiming
from tabur.errors import StoreUnavailable

_log = logging.getLogger("tabur.worker")

#: Seconds between two looks.
EVERY = 30.0


class Unheard:
    """Released once they were found twice in a row. `clock` in seconds."""

    def __init__(self, claiming: Claiming, worker: str, clock: Callable[[], float]) -> None:
        self._claiming = claiming
        self._worker = worker
        self._clock = clock
        self._last = clock()
        self._strange: set[bytes] = set()
        """Tokens that the store counted as ours at the last look, and that we did not know."""

    def look(self, known: Callable[[], set[bytes]]) -> None:
        """Where it is time for it. `known` answers the tokens of the claims that we know of."""
        now = self._clock()
        if now < self._last + EVERY:
            return
        self._last = now
        try:
            strange = {token for _, token in self._claiming.held(self._worker)} - known()
            for token in sorted(strange & self._strange):
                released = self._claiming.release_token(token)
                _log.warning("Released %d jobs of a claim whose answer was lost", released)
        except StoreUnavailable:
            return  # the next turn tells of it
        self._strange = strange
