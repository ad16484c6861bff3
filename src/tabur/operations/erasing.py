"""Erasing all there is of one tenant, or of one person, from the stores and the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

import msgspec
from msgspec.structs import replace

from tabur.drivers.contract import CancelAnswer, Driver, Filter, Relaying
from tabur.errors import ConfigError, TaburError
from tabur.model.ids import id_text
from tabur.model.records import JobRecord, Owner
from tabur.model.schedules import Origin, ScheduleRecord
from tabur.model.states import FINISHED, State
from tabur.model.ticks import decode_definition

#: Jobs that are looked at and removed at once.
PAGE = 500
#: Seconds that running jobs are given to stop, and between two looks at them: first and longest.
WAIT = 30.0
LOOK_FIRST, LOOK_LONGEST = 0.05, 1.0

#: Unfinished jobs as stores keep them apart, so that only few are looked through for them.
_UNFINISHED = ((State.PENDING, State.PROCESSING), (State.SCHEDULED, State.BLOCKED))


class Erased(msgspec.Struct, frozen=True):
    """What was erased, or would be. `files`: attachments; `schedules`: those made at run time whose
    jobs belong to the owner; `running`: ids of jobs that have not stopped, and are all that is
    left."""

    jobs: int = 0
    files: int = 0
    schedules: int = 0
    running: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not self.running

    def __add__(self, other: Erased) -> Erased:
        return Erased(
            self.jobs + other.jobs,
            self.files + other.files,
            self.schedules + other.schedules,
            self.running + other.running,
        )


class Erasing:
    """Everything of one owner: jobs in any state with payloads, history, progress, cursors and
    attachments, and schedules that were made at run time.

    Of a `tenant`, that is what any of its users has; with `user` as well, of that user of it; of a
    `user` alone, what that user has without a tenant. `attachments` is the folder of the app's
    files. Raises ConfigError.
    """

    def __init__(
        self,
        drivers: Sequence[Driver],
        attachments: Path,
        *,
        tenant: str | None = None,
        user: str | None = None,
    ) -> None:
        if not tenant and not user:
            raise ConfigError("Whose jobs are to be erased? Name a tenant, a user, or both.")
        self._drivers = drivers
        self._attachments = attachments
        self._owner = Owner(tenant, user)
        self._which = Filter(owner=self._owner) if user else Filter(tenant=tenant)

    def count(self) -> Erased:
        """What would be erased; nothing is changed. Raises StoreUnavailable, SchemaMissing."""
        found = Erased()
        for driver in self._drivers:
            for page in self._pages(driver):
                running = tuple(id_text(each.id) for each in page if _runs(each))
                files = sum(len(self._files(each.id)) for each in page)
                found += Erased(jobs=len(page), files=files, running=running)
            found += Erased(schedules=len(self._schedules(driver)))
        return found

    def erase(self, *, wait: float = WAIT) -> Erased:
        """Erase it, in chunks; safe to repeat. What has not finished is cancelled first, and what
        runs is asked to stop and given `wait` seconds for it; what still runs then is left, and
        named. Raises StoreUnavailable, SchemaMissing, and TaburError for a file that cannot be
        removed: then its job stays too."""
        until = monotonic() + wait
        erased = Erased()
        for driver in self._drivers:
            for name in self._schedules(driver):  # before the jobs that they would dispatch
                erased += Erased(schedules=int(driver.schedules.delete(name)))
            if isinstance(driver, Relaying):
                driver.relay()
            running = self._stop(driver, until)
            erased += Erased(running=tuple(id_text(each) for each in running))
            for page in self._pages(driver, tuple(FINISHED)):
                erased += self._remove(driver, [each.id for each in page])
        return erased

    def _stop(self, driver: Driver, until: float) -> Sequence[bytes]:
        """Cancel all that has not finished, also what comes of it; answers what still runs at the
        end of the time."""
        while running := self._cancel(driver):
            if not _have_ended(driver, running, until):
                return running
        return ()

    def _cancel(self, driver: Driver) -> Sequence[bytes]:
        return [
            each.id
            for states in _UNFINISHED
            for page in self._pages(driver, states)
            for each in page
            if driver.dispatching.cancel(each.id) is CancelAnswer.CANCELLING
        ]

    def _remove(self, driver: Driver, job_ids: Sequence[bytes]) -> Erased:
        """Files first: where one cannot be removed, or this process dies, its job stays."""
        files = 0
        for job_id in job_ids:
            files += len(self._files(job_id))
            folder = self._folder(job_id)
            try:
                if folder.exists():
                    shutil.rmtree(folder)
            except OSError as error:
                raise TaburError(
                    f"The attachments of job {id_text(job_id)} cannot be removed: {error}. See to "
                    "the rights on that folder, and repeat."
                ) from None
        return Erased(jobs=driver.retention.remove(job_ids), files=files)

    def _pages(
        self, driver: Driver, states: tuple[State, ...] = ()
    ) -> Iterator[Sequence[JobRecord]]:
        which = replace(self._which, states=states)
        after: bytes | None = None
        while page := driver.inspection.list(which, limit=PAGE, after=after):
            yield page
            after = page[-1].id

    def _files(self, job_id: bytes) -> Sequence[Path]:
        folder = self._folder(job_id)
        return [*folder.iterdir()] if folder.is_dir() else []

    def _folder(self, job_id: bytes) -> Path:
        return self._attachments / id_text(job_id)

    def _schedules(self, driver: Driver) -> Sequence[str]:
        """The names of schedules whose jobs belong to the owner."""
        found: list[str] = []
        after = ""
        while page := driver.schedules.list(limit=PAGE, after=after):
            found += [each.name for each in page if self._owns(each)]
            after = page[-1].name
        return found

    def _owns(self, schedule: ScheduleRecord) -> bool:
        if schedule.origin is not Origin.TABLE:
            return False
        try:
            job = decode_definition(schedule.definition).job
        except ConfigError:  # of a later version: whose it is cannot be told here
            return False
        return job.tenant == self._owner.tenant and self._owner.user in (None, job.user)


def _runs(record: JobRecord) -> bool:
    return record.state is State.PROCESSING


def _have_ended(driver: Driver, job_ids: Sequence[bytes], until: float) -> bool:
    """Whether all of them have come to their end before the time is over."""
    pause = LOOK_FIRST
    left = list(job_ids)
    while left := [each for each in left if not _has_ended(driver, each)]:
        if monotonic() + pause > until:
            return False
        sleep(pause)
        pause = min(2 * pause, LOOK_LONGEST)
    return True


def _has_ended(driver: Driver, job_id: bytes) -> bool:
    record = driver.inspection.find(job_id)
    return record is None or record.state in FINISHED
