"""Traces that a dispatch is part of, and what jobs are called in logs."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from tabur import ConfigError, Job, JobContext, Tabur
from tabur.jobs.options import words
from tabur.model.ids import id_bytes
from tabur.model.records import decode_options
from tabur.model.trace import read_traceparent, trace_id, traceparent_of

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
HEADER = f"00-{TRACE:032x}-{SPAN:016x}-01"


@pytest.fixture
def jobs() -> Tabur:
    return Tabur("memory")


def carried(jobs: Tabur) -> str | None:
    """The trace of a job that is dispatched now."""
    if not list(jobs.registry):

        @jobs.job(title="background sync")
        def sync() -> None: ...

        jobs.sync = sync  # type: ignore[attr-defined]  # kept for later
    handle = jobs.sync.dispatch()  # type: ignore[attr-defined]  # as above
    found = jobs.driver.inspection.find(id_bytes(handle.id))
    assert found is not None
    return decode_options(found.options).trace


def test_a_span_of_opentelemetry_is_taken_along(jobs: Tabur) -> None:
    context = trace.SpanContext(TRACE, SPAN, False, trace.TraceFlags(trace.TraceFlags.SAMPLED))
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert carried(jobs) == HEADER
    assert carried(jobs) is None


def test_what_the_scope_says_counts_before(jobs: Tabur) -> None:
    other = HEADER.replace("4bf9", "aaaa")
    context = trace.SpanContext(TRACE, SPAN, False)
    with trace.use_span(trace.NonRecordingSpan(context)), jobs.scope(traceparent=other):
        assert carried(jobs) == other
        with jobs.scope(tenant="acme"):
            assert carried(jobs) == other


@pytest.mark.parametrize(
    "header", [None, "", "00", HEADER.upper(), HEADER[:-1], f"00-{0:032x}-{SPAN:016x}-01", "x" * 55]
)
def test_a_header_that_is_not_valid_is_passed_over(header: str | None, jobs: Tabur) -> None:
    assert read_traceparent(header) is None
    with jobs.scope(traceparent=header):
        assert carried(jobs) is None


def test_ids_and_spans() -> None:
    job_id = bytes(range(16))
    assert trace_id(job_id, None) == job_id.hex()
    assert trace_id(job_id, HEADER) == f"{TRACE:032x}"
    spans = {traceparent_of(job_id, attempt, HEADER) for attempt in range(1, 4)}
    assert len(spans) == 3
    assert all(read_traceparent(each) == each for each in spans)
    assert read_traceparent(traceparent_of(job_id, 1, None)) is not None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("send_order_confirmation", "send order confirmation"),
        ("SyncPendingChangesJob", "sync pending changes"),
        ("HTTPGetJob", "HTTP get"),
        ("carts:expire", "carts expire"),
        ("Job", "job"),
        ("أرسل", "أرسل"),
    ],
)
def test_names_in_words(name: str, said: str) -> None:
    assert words(name) == said


def test_titles(jobs: Tabur) -> None:
    carried(jobs)
    (definition,) = jobs.registry
    options = definition.options
    assert options.starting(definition.name) == "Starting background sync job"
    assert options.ended(definition.name, "completed") == "Background sync job completed"
    with pytest.raises(ConfigError, match="title"):
        jobs.job(title="")(lambda: None)

    @jobs.register
    class SyncJob(Job[None], title="central sync"):
        def handle(self, ctx: JobContext) -> None: ...

    assert [each.options.title for each in jobs.registry][-1] == "central sync"
