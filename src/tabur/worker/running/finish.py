"""The end of a run: the transition that settles it, and the job's own `failed()`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from random import random
from typing import Any

import msgspec
from msgspec.structs import replace

from tabur.errors import PayloadError
from tabur.jobs.context import JobContext
from tabur.jobs.current import running
from tabur.jobs.definition import JobDefinition
from tabur.jobs.scope import CurrentScope, Scope
from tabur.jobs.settling import own_settle_of
from tabur.model.clock import now_us
from tabur.model.codec import describe
from tabur.model.decide import decide
from tabur.model.outcome import Ended, Outcome, Transition
from tabur.model.records import ClaimedJob, decode_options
from tabur.model.retry import Policy
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import Refused, RemoteError, Run

_log = logging.getLogger("tabur.worker")


class Finished:
    """A run that has ended, or a job that could not start, with what `failed()` may ask for."""

    __slots__ = ("ctx", "definition", "error", "job", "outcome", "policy")

    def __init__(
        self,
        job: ClaimedJob,
        outcome: Outcome,
        policy: Policy,
        *,
        ctx: JobContext,
        definition: JobDefinition | None,
        error: BaseException | None,
    ) -> None:
        self.job = job
        self.outcome = outcome
        self.policy = policy
        self.ctx = ctx
        self.definition = definition
        self.error = error

    @property
    def is_to_be_told(self) -> bool:
        """Whether the job has a `failed()`."""
        return self.definition is not None and self.definition.failed is not None

    def transition(self, worker: str, now: int, reporter: StoreReporter) -> Transition:
        """What settles it; whatever stands in its record, the worker goes on."""
        try:
            return self._decided(worker, now, reporter)
        except Exception as error:  # counters in the store that make no sense
            self.outcome = replace(self.outcome, ended=Ended.REJECTED, error=describe(error))
            self.job = replace(self.job, attempts=0, exceptions=0, crashes=0)
            return self._decided(worker, now, reporter)

    def _decided(self, worker: str, now: int, reporter: StoreReporter) -> Transition:
        return decide(
            self.job,
            self.policy,
            self.outcome,
            worker=worker,
            now=now,
            random=random(),
            progress=reporter.last(self.ctx),
        )


def ended(run: Run, outcome: Outcome) -> Finished:
    return Finished(
        run.job,
        outcome,
        run.policy,
        ctx=run.ctx,
        definition=run.definition,
        error=run.error,
    )


def refused(job: ClaimedJob, why: Refused, reporter: StoreReporter) -> Finished:
    ctx = JobContext(job, reporter)
    return Finished(
        job, why.outcome, _NO_POLICY, ctx=ctx, definition=why.definition, error=why.error
    )


def handed_back(job: ClaimedJob, reporter: StoreReporter) -> Finished:
    """A job that was claimed and is not to be started here."""
    outcome = Outcome(Ended.HANDED_BACK, None, now_us())
    ctx = JobContext(job, reporter)
    return Finished(job, outcome, _NO_POLICY, ctx=ctx, definition=None, error=None)


def call_failed(finished: Finished, scope: CurrentScope) -> None:
    """Call the job's `failed(ctx, error)`, if it has one. What goes wrong in it is logged and
    changes nothing."""
    definition, job = finished.definition, finished.job
    if definition is None or definition.failed is None:
        return
    error: Any = finished.error
    if error is None and finished.outcome.error is not None:
        error = RemoteError(finished.outcome.error)
    try:
        body = finished.ctx.backing.seals.opened_payload(job)
        arguments = definition.decode(body, decode_options(job.options).version)
    except (PayloadError, msgspec.DecodeError):
        return  # no job can be made of what cannot be opened or decoded
    own_settle_of(finished.ctx).failed = True
    try:
        with scope.entered(Scope(job.tenant, job.user, job.locale)), running(finished.ctx):
            answer = definition.failed(finished.ctx, arguments, error)
            if inspect.isawaitable(answer):
                asyncio.run(_awaited(answer))
    except BaseException:
        _log.exception("failed() of %s %s raised", job.name, finished.ctx.job_id)


async def _awaited(answer: Any) -> Any:
    return await answer


_NO_POLICY = Policy()
