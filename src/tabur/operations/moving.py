"""Moving what waits from one store to another, while workers run on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from tabur.drivers.contract import Driver
from tabur.errors import StoreUnavailable, StoreUnreachable
from tabur.model.records import NewJob

#: Jobs taken out, dispatched and removed at once.
CHUNK = 500


class Moved(msgspec.Struct, frozen=True):
    """What a move did, and what it leaves on its source."""

    moved: int
    finished: int
    """Of these, what an earlier move had taken out and not brought to its end."""
    blocked: int
    """They wait for other jobs of their store, which unblock them there."""
    processing: int
    """They run, and end, where they are."""


class Moving:
    """A move from `source` to `target`, in chunks of three steps: take out, dispatch, remove.

    What is taken out stands still, shown as blocked, until it is in the target for certain. Whoever
    dies on the way leaves jobs taken out; the next move to the same target finishes them, and
    since a dispatch is idempotent by id, none runs twice. `go_on` is told after each chunk how many
    have been moved, and ends the move by False.
    """

    def __init__(
        self,
        source: Driver,
        target: Driver,
        *,
        queue: str | None = None,
        limit: int | None = None,
        go_on: Callable[[int], bool] = lambda moved: True,
    ) -> None:
        self._source = source
        self._target = target
        self._queue = queue
        self._limit = limit
        self._go_on = go_on

    def run(self) -> Moved:
        """Raises StoreUnavailable of either side: then jobs may stand taken out, unless the target
        could not even be reached."""
        self._target.inspection.queues()  # before anything is taken out: is it there, with tables?
        finished = self._finish()
        moved = 0
        while self._go_on(finished + moved):
            room = CHUNK if self._limit is None else min(CHUNK, self._limit - moved)
            taken = self._source.transfer.take_out(self._queue, limit=room) if room else ()
            if not taken:
                break
            self._bring(taken)
            moved += len(taken)
        queues = self._source.inspection.queues()
        left = [each for each in queues if self._queue in (None, each.queue)]
        return Moved(
            moved=finished + moved,
            finished=finished,
            blocked=sum(each.blocked for each in left),
            processing=sum(each.processing for each in left),
        )

    def _finish(self) -> int:
        """Bring what an earlier move left taken out. It may be in the target already, so that it
        is never put back."""
        finished = 0
        while self._go_on(finished) and (taken := self._source.transfer.taken_out()):
            self._target.dispatching.dispatch(taken)
            self._source.transfer.gone([job.id for job in taken])
            finished += len(taken)
        return finished

    def _bring(self, taken: Sequence[NewJob]) -> None:
        ids = [job.id for job in taken]
        try:
            self._target.dispatching.dispatch(taken)
        except Exception as error:
            unknown = isinstance(error, StoreUnavailable) and not isinstance(
                error, StoreUnreachable
            )
            if not unknown:
                self._source.transfer.put_back(ids)  # it certainly has none of them
            raise
        self._source.transfer.gone(ids)
