"""What a worker asks its store about jobs with bonds, before it begins them; plain jobs cost
nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabur.errors import JobCancelled
from tabur.model.batches import CALLED_OFF
from tabur.model.clock import now_us
from tabur.model.ids import id_text
from tabur.model.outcome import Ended, Outcome
from tabur.model.records import ClaimedJob, ErrorInfo
from tabur.worker.running.run import Refused

if TYPE_CHECKING:
    from tabur.drivers.contract import Driver


def called_off(driver: Driver, claimed: Sequence[ClaimedJob]) -> frozenset[bytes]:
    """Those that are not to begin, since their batch was cancelled. Raises StoreUnavailable."""
    batches = {
        job.id: bonds.batch
        for job in claimed
        if (bonds := job.bonds) is not None and bonds.batch is not None
    }
    if not batches:
        return frozenset()
    cancelled = driver.batches.cancelled([*dict.fromkeys(batches.values())])
    return frozenset(job_id for job_id, batch in batches.items() if batch in cancelled)


def off(job: ClaimedJob) -> Refused:
    """Why such a one does not begin."""
    reason = ErrorInfo("JobCancelled", CALLED_OFF)
    return Refused(
        Outcome(Ended.CANCELLED, None, now_us(), error=reason), JobCancelled(id_text(job.id)), None
    )


def begin(driver: Driver, jobs: Sequence[ClaimedJob]) -> None:
    """Free the unique keys of those that hold one only until they begin. Raises
    StoreUnavailable."""
    claims = [
        (job.id, job.token)
        for job in jobs
        if (bonds := job.bonds) is not None
        and bonds.unique is not None
        and bonds.unique.until_start
    ]
    if claims:
        driver.claiming.begin(claims)
