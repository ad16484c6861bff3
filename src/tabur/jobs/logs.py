"""What is logged by Python's `logging` where jobs run: for people, or one JSON object a line; with
the job that it is about."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from tabur.jobs.current import current_job

#: What `%(…)s` in a formatter of the user's own finds in each record; empty outside of jobs.
ATTRIBUTES = ("job_id", "job_name", "job_queue", "job_attempt", "job_tenant", "job_trace")


def install_logging(style: str, level: str = "info") -> None:
    """Let records of this process bear their job, and be written to standard error: `style` is
    json, or anything else for people. Where the application has set up logging itself, its handlers
    stay as they are; asked for JSON, those that write to standard output or error write JSON.

    `level` holds for jobs and for Tabur; of all other code warnings are written.
    """
    _let_records_bear_jobs()
    formatter = JsonFormatter() if style == "json" else HumanFormatter()
    if not logging.root.handlers:
        ours = logging.StreamHandler(sys.stderr)
        ours.setFormatter(formatter)
        ours.addFilter(_OfJobs(level))
        logging.root.addHandler(ours)
        logging.root.setLevel(level.upper())
    elif style == "json":
        for handler in logging.root.handlers:
            if getattr(handler, "stream", None) in (sys.stdout, sys.stderr):
                handler.setFormatter(formatter)


def _let_records_bear_jobs() -> None:
    before = logging.getLogRecordFactory()
    if isinstance(before, _Factory):
        return
    logging.setLogRecordFactory(_Factory(before))


class _Factory:
    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._before(*args, **kwargs)
        ctx = current_job()
        if ctx is None:
            record.__dict__.update(_NO_JOB)
        else:
            record.job_id, record.job_name, record.job_queue = ctx.job_id, ctx.name, ctx.queue
            record.job_attempt, record.job_tenant = ctx.attempt, ctx.tenant or ""
            record.job_trace = ctx.trace_id
        return record


_NO_JOB = dict.fromkeys(ATTRIBUTES, "")


class _OfJobs(logging.Filter):
    """Lets pass what is told in jobs and by Tabur, and warnings of all others; not what a handler
    of the application's own has written already."""

    def __init__(self, level: str) -> None:
        super().__init__()
        self._level = logging.getLevelNamesMapping()[level.upper()]

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_written(record.name):
            return False
        if record.levelno >= max(logging.WARNING, self._level):
            return True
        told = getattr(record, "job_id", "") or record.name.partition(".")[0] == "tabur"
        return bool(told) and record.levelno >= self._level


def _is_written(name: str) -> bool:
    """Whether a logger below the root has a handler for it."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None and logger is not logging.root:
        if any(not isinstance(each, logging.NullHandler) for each in logger.handlers):
            return True
        logger = logger.parent
    return False


class HumanFormatter(logging.Formatter):
    """`2026-11-22 10:15:03 INFO shop.orders: paid [send_receipt 01a2049c-…]`"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's
        line = super().formatMessage(record)
        job_id = getattr(record, "job_id", "")
        if not job_id or job_id in record.message:
            return line
        return f"{line} [{getattr(record, 'job_name', '')} {job_id}]"


class JsonFormatter(logging.Formatter):
    """One object, in the words of `queue:work --json`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            "message": _text(record),
        }
        if job_id := getattr(record, "job_id", ""):
            entry |= {
                "id": job_id,
                "queue": record.job_queue,  # type: ignore[attr-defined]  # from _Factory
                "job": record.job_name,  # type: ignore[attr-defined]  # from _Factory
                "attempts": record.job_attempt,  # type: ignore[attr-defined]  # from _Factory
                "tenant": record.job_tenant or None,  # type: ignore[attr-defined]  # from _Factory
                "trace": record.job_trace,  # type: ignore[attr-defined]  # from _Factory
            }
        if record.exc_info and record.exc_info[0] is not None:
            entry["exception"] = record.exc_info[0].__qualname__
            entry["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def _text(record: logging.LogRecord) -> str:
    """Lone surrogates, which JSON has no place for, are written as `?`."""
    return record.getMessage().encode("utf-8", "replace").decode()
