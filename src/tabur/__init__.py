"""Tabur: background jobs and schedules for Python web applications, on the store you have."""

from tabur.app import Tabur
from tabur.errors import (
    ClaimLost,
    ConfigError,
    IdempotencyConflict,
    JobCancelled,
    JobFailed,
    JobNotFinished,
    JobNotFound,
    PayloadError,
    SchemaMissing,
    SealError,
    StoreUnavailable,
    TaburError,
    UnknownJob,
)
from tabur.jobs.context import JobContext
from tabur.jobs.function import FunctionJob
from tabur.jobs.handle import JobHandle, JobStatus
from tabur.jobs.job import Job
from tabur.jobs.pending import PendingJob
from tabur.model.records import Owner, Progress
from tabur.model.retry import exponential
from tabur.model.states import State

__all__ = [
    "ClaimLost",
    "ConfigError",
    "FunctionJob",
    "IdempotencyConflict",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobHandle",
    "JobNotFinished",
    "JobNotFound",
    "JobStatus",
    "Owner",
    "PayloadError",
    "PendingJob",
    "Progress",
    "SchemaMissing",
    "SealError",
    "State",
    "StoreUnavailable",
    "Tabur",
    "TaburError",
    "UnknownJob",
    "exponential",
]

__version__ = "0.1.0"
