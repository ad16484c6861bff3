"""The job that runs in this thread or coroutine: for logs, and for what it dispatches itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tabur.model.trace import read_traceparent

if TYPE_CHECKING:
    from tabur.jobs.context import JobContext

# Of the process, not of an app: so is logging, whose records are to bear the id of the job.
_running: ContextVar[JobContext | None] = ContextVar("tabur_job", default=None)


def current_job() -> JobContext | None:
    return _running.get()


@contextmanager
def running(ctx: JobContext) -> Iterator[None]:
    before = _running.set(ctx)
    try:
        yield
    finally:
        _running.reset(before)


def run_as(ctx: JobContext) -> None:
    """As `running`, for a context that ends with its task."""
    _running.set(ctx)


def current_traceparent() -> str | None:
    """Of the job that runs here, or of OpenTelemetry's span, where the application has loaded it;
    None elsewhere."""
    if (ctx := _running.get()) is not None:
        return ctx.traceparent
    otel = sys.modules.get("opentelemetry.trace")
    if otel is None:
        return None
    span = otel.get_current_span().get_span_context()
    return read_traceparent(f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}")
