"""Tabur: background jobs and schedules for Python web applications, on the store you have."""

from tabur.app import Tabur
from tabur.errors import (
    BatchNotFound,
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
    UniqueConflict,
    UnknownJob,
)
from tabur.jobs.composing.handle import BatchHandle, BatchStatus
from tabur.jobs.composing.pending import PendingBatch, PendingChain
from tabur.jobs.composing.running import StepStatus, WorkflowHandle
from tabur.jobs.composing.workflow import Workflow
from tabur.jobs.context import JobContext
from tabur.jobs.function import FunctionJob
from tabur.jobs.handle import JobHandle, JobStatus
from tabur.jobs.job import Job
from tabur.jobs.pending import PendingJob
from tabur.model.records import Owner, Progress
from tabur.model.retry import exponential
from tabur.model.states import State

__all__ = [
    "BatchHandle",
    "BatchNotFound",
    "BatchStatus",
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
    "PendingBatch",
    "PendingChain",
    "PendingJob",
    "Progress",
    "SchemaMissing",
    "SealError",
    "State",
    "StepStatus",
    "StoreUnavailable",
    "Tabur",
    "TaburError",
    "UniqueConflict",
    "UnknownJob",
    "Workflow",
    "WorkflowHandle",
    "exponential",
]

__version__ = "0.1.0"
