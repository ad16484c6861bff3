"""What a worker asks its store about jobs with bonds, before it begins them. Plain jobs cost one
look at whether they have options at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabur.errors import JobCancelled
from tabur.model.batches import CALLED_OFF
from tabur.model.bonds import Bonds
from tabur.model.clock import now_us
from tabur.model.ids import id_text
from tabur.model.outcome import Ended, Outcome
from tabur.model.records import ClaimedJob, ErrorInfo
from tabur.worker.running.run import Refused

if TYPE_CHECKING:
    from tabur.drivers.contract import Driver


def bonds_of(claimed: Sequence[ClaimedJob]) -> dict[bytes, Bonds]:
    """By id; of those that have any."""
    return {job.id: bonds for job in claimed if job.options and (bonds := job.bonds) is not None}


def called_off(driver: Driver, bonds: Mapping[bytes, Bonds]) -> frozenset[bytes]:
    """Those that are not to begin, since their batch was cancelled. Raises StoreUnavailable."""
    batches = {each.batch for each in bonds.values() if each.batch is not None}
    if not batches:
        return frozenset()
    cancelled = driver.batches.cancelled([*batches])
    return frozenset(job for job, each in bonds.items() if each.batch in cancelled)


def off(job: ClaimedJob) -> Refused:
    """Why such a one does not begin."""
    reason = ErrorInfo("JobCancelled", CALLED_OFF)
    return Refused(
        Outcome(Ended.CANCELLED, None, now_us(), error=reason), JobCancelled(id_text(job.id)), None
    )


def begin(driver: Driver, jobs: Sequence[ClaimedJob], bonds: Mapping[bytes, Bonds]) -> None:
    """Free the unique keys of those that hold one only until they begin. Raises
    StoreUnavailable."""
    if not bonds:
        return
    holding = {job for job, each in bonds.items() if each.unique and each.unique.until_start}
    claims = [(job.id, job.token) for job in jobs if job.id in holding]
    if claims:
        driver.claiming.begin(claims)
