"""What is due again and again, and small things to remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tabur.model.schedules import Advance, DueSchedules, Note, Origin, ScheduleRecord, Tick


class Schedules(Protocol):
    """When what is due again and again. Any number of schedulers may use it at once; none leads.

    A name that not every store can keep (empty, above 200 characters, with NUL or half of a pair of
    surrogates) raises ConfigError. Names differ by each of their characters. What changes something
    is never repeated by the driver itself: no answer tells of one's own first try.
    """

    def put(self, schedules: Sequence[ScheduleRecord], *, origin: Origin | None = None) -> int:
        """Make schedules, or change those whose stored revision is one below the given: all but
        last_run_at and last_job, which only ticks change. One with any other revision (or a name
        that is taken, for revision 1) is passed over. With `origin`, those of that origin which are
        not among `schedules` are removed in the same transaction, their history stays. Answers how
        many were made or changed. Raises ConfigError for what not every store can keep, and then
        changes nothing."""

    def due(self, *, limit: int) -> DueSchedules:
        """Active schedules whose next_run_at has come by the store's clock, the longest due first.
        The cost does not depend on how many there are that are not due."""

    def advance(self, moves: Sequence[Advance]) -> Sequence[bool]:
        """Of each move whose schedule still stands at `revision` and `seen`: write its ticks,
        dispatch its jobs (as `Dispatching.dispatch`, workers are woken), move next_run_at on, and
        last_run_at and last_job where a tick was dispatched. All of one move or nothing of it;
        False where another one was first, or it was changed, paused or deleted meanwhile. A tick
        that is known already is not decided again, and its job is not dispatched: no schedule made
        anew under an old name repeats what ran. Repeated, it answers False and changes nothing.

        Reasons are made storable, and cut after 500 characters. Where one move cannot be kept (a
        job's name of half a character), ConfigError is raised and none is made: who has others
        beside it comes again with each by itself."""

    def find(self, name: str) -> ScheduleRecord | None: ...

    def list(self, *, limit: int, after: str = "") -> Sequence[ScheduleRecord]:
        """By name, starting behind `after`."""

    def delete(self, name: str) -> bool:
        """Remove a schedule; its history stays. False where there is none."""

    def ticks(
        self, schedule: str | None, *, limit: int, before: int | None = None, below: str = ""
    ) -> Sequence[Tick]:
        """What became of ticks, of one schedule or of all, the latest moment first (and of one
        moment by name, backwards), starting below the moment `before`; or, amid those of that
        moment, below the schedule `below`: where a page has ended the next one begins."""

    def prune(self, *, before: int, limit: int) -> int:
        """Remove at most `limit` ticks that were due before a moment, oldest first. Answers how
        many."""


class Notes(Protocol):
    """Small things to remember. Who changes one says which revision it has seen, so that of two who
    change it at once one is told that it came too late. For names holds what holds for those of
    schedules; an empty prefix is that of all. Nor is a write repeated by the driver itself."""

    def read(self, prefix: str) -> Sequence[Note]:
        """Those whose name begins with `prefix`, by name."""

    def write(self, name: str, value: bytes, *, revision: int) -> bool:
        """Keep `value` (at most 64 KiB, else ConfigError) if the note stands at `revision` (0:
        there is none); its revision is one more then. False otherwise. (Where the answer was lost,
        `read` tells whether it was kept.)"""

    def erase(self, name: str, *, revision: int) -> bool:
        """Remove it if it stands at `revision`."""
