"""The `sync` connection: jobs run where they are dispatched, on the same path as in a worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec

from tabur.drivers.contract import Exchange
from tabur.jobs.coroutines import wait_for
from tabur.jobs.current import running
from tabur.model.bonds import Bonds
from tabur.model.clock import now_us
from tabur.model.ids import new_token
from tabur.model.outcome import Ending, Outcome
from tabur.model.records import ClaimedJob
from tabur.model.states import Isolation, State
from tabur.worker.options import WorkOptions
from tabur.worker.running.bound import begin, bonds_of, called_off, off
from tabur.worker.running.finish import Finished, call_failed, ended, refused
from tabur.worker.running.reports import StoreReporter
from tabur.worker.running.run import Refused, Run, completed, prepare, stopped
from tabur.worker.runtime import Runtime

WORKER = "inline"
_log = logging.getLogger("tabur.worker")
_OPTIONS = WorkOptions()
_ONE_OF_EACH = dict.fromkeys(Isolation, 1)


def drain(runtime: Runtime) -> None:
    """Run all that waits, in this thread, until nothing does. Back-off is not waited for. Errors
    of jobs are recorded and logged, not raised: dispatch behaves as on every other connection."""
    reporter = StoreReporter(runtime, WORKER)
    while _turn(runtime, reporter, at_once=True):
        pass


def run_due(runtime: Runtime) -> int:
    """Run some of what is due; what is tried again waits for its time. Answers how many; 0: nothing
    is due."""
    return _turn(runtime, StoreReporter(runtime, WORKER), at_once=False)


def _turn(runtime: Runtime, reporter: StoreReporter, *, at_once: bool) -> int:
    claim = Exchange(
        worker=WORKER,
        token=new_token(),
        queues=[each.queue for each in runtime.driver.inspection.queues()],
        slots=_ONE_OF_EACH,
    )
    claimed = runtime.driver.claiming.exchange(claim).claimed
    bonds = bonds_of(claimed)
    cancelled = called_off(runtime.driver, bonds)
    for job in claimed:
        if job.id in cancelled:
            finished = refused(job, off(job), reporter)
        else:
            finished = _work(runtime, job, reporter, bonds)
        move = finished.transition(WORKER, runtime.driver.now(), reporter)
        if at_once and move.to is State.SCHEDULED:
            move = msgspec.structs.replace(move, to=State.PENDING, due_at=None)
        if move.ending is Ending.FAILED:
            call_failed(finished, runtime.scope)
        if finished.error is not None and move.ending is not Ending.CANCELLED:
            _log.error("%s %s", job.name, finished.ctx.job_id, exc_info=finished.error)
        if not finished.outcome.settled:
            runtime.driver.claiming.exchange(Exchange(worker=WORKER, settle=[move]))
        if isinstance(finished.error, KeyboardInterrupt | SystemExit):
            raise finished.error  # meant for this thread, not for the job alone
    return len(claimed)


def _work(
    runtime: Runtime, job: ClaimedJob, reporter: StoreReporter, bonds: Mapping[bytes, Bonds]
) -> Finished:
    try:
        run = prepare(job, runtime.registry, _OPTIONS, reporter, runtime.driver.now())
    except Refused as why:
        return refused(job, why, reporter)
    begin(runtime.driver, [job], bonds)
    run.started_at = now_us()
    with runtime.scope.entered(run.scope()), running(run.ctx):
        return ended(run, outcome_of(run))


def outcome_of(run: Run) -> Outcome:
    """Run it here, until it has ended."""
    try:
        value = run.definition.call(run.ctx, run.arguments)
        if run.definition.is_async:
            value = wait_for(value)
    except BaseException as error:
        return stopped(run, error)
    return completed(run, value)
