"""Traces: what belongs to one request, over all jobs that come of it (W3C Trace Context)."""

from __future__ import annotations

import re

_SHAPE = re.compile(r"[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}")


def read_traceparent(header: str | None) -> str | None:
    """A header `traceparent` as it came, or None for none and for one that is not valid: the
    recommendation says to go on as if it were not there."""
    found = None if header is None else _SHAPE.match(header.strip())
    if found is None or not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return found[0]


def trace_id(job_id: bytes, traceparent: str | None) -> str:
    """32 hex digits: those that it was dispatched with, else of its own id."""
    return job_id.hex() if traceparent is None else traceparent[3:35]


def traceparent_of(job_id: bytes, attempt: int, traceparent: str | None) -> str:
    """What an attempt of a job passes on. Each attempt is a span of its own."""
    span = int.from_bytes(job_id[8:], "big") ^ attempt
    flags = "01" if traceparent is None else traceparent[53:55]
    return f"00-{trace_id(job_id, traceparent)}-{span:016x}-{flags}"
