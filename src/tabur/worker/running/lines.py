"""What a worker prints for each job: lines as a Laravel user knows them, JSON, or nothing."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from tabur.jobs.options import JobOptions
from tabur.model.clock import SECOND
from tabur.model.ids import id_text
from tabur.model.outcome import Ending, Transition
from tabur.model.records import ClaimedJob, decode_options
from tabur.model.trace import trace_id
from tabur.worker.options import WorkOptions
from tabur.worker.running.finish import Finished
from tabur.worker.running.pump import Observer
from tabur.worker.running.run import Run


def observer(options: WorkOptions, connection: str) -> Observer:
    match options.output:
        case "json":
            return JsonLines(sys.stdout, connection)
        case "quiet":
            return Silence()
        case _:
            return Lines(sys.stdout, connection, verbose=options.verbose)


class Silence:
    def started(self, runs: Sequence[Run]) -> None:
        pass

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None:
        pass


class Lines:
    """`2026-11-22 10:15:03 SendMail ........ 12.40ms DONE`, one write per batch."""

    def __init__(self, out: TextIO, connection: str, *, verbose: bool) -> None:
        self._out = out
        self._connection = connection
        self._verbose = verbose
        self._colour = out.isatty()
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 150)

    def started(self, runs: Sequence[Run]) -> None:
        self._write([self._line(run.job, "RUNNING", "33", called=_called(run)) for run in runs])

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None:
        lines = []
        for finished, move in ends:
            ending = _ending(move)
            if ending is None:
                continue
            word, colour = _WORDS[ending]
            called = _called(finished, _HOW[ending])
            lines.append(self._line(finished.job, word, colour, _spent(move), called=called))
            if move.error is not None and ending in _WITH_REASON:
                lines.append(f"  {move.error.type}: {_one_line(move.error.message)}")
        self._write(lines)

    def _line(
        self,
        job: ClaimedJob,
        word: str,
        colour: str,
        spent: str = "",
        *,
        called: str,
    ) -> str:
        moment = datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005  # the reader's clock
        name = called
        if self._verbose:
            name += f" {id_text(job.id)} {self._connection} {job.queue} {_memory()}"
            name += f" attempt {job.attempts + 1} trace {_trace(job)}"
            name += f" tenant {job.tenant}" if job.tenant else ""
        dots = "." * max(3, self._width - len(moment) - len(name) - len(spent) - len(word) - 4)
        shown = f"\x1b[{colour}m{word}\x1b[0m" if self._colour else word
        return f"{moment} {name} {dots}{' ' + spent if spent else ''} {shown}"

    def _write(self, lines: list[str]) -> None:
        if lines:
            _print(self._out, "\n".join(lines) + "\n")


class JsonLines:
    """One object a line, for log collectors."""

    def __init__(self, out: TextIO, connection: str) -> None:
        self._out = out
        self._connection = connection

    def started(self, runs: Sequence[Run]) -> None:
        self._write([self._entry(run.job, "starting") | {"message": _said(run)} for run in runs])

    def settled(self, ends: Sequence[tuple[Finished, Transition]]) -> None:
        entries = []
        for finished, move in ends:
            ending = _ending(move)
            if ending is None:
                continue
            entry = self._entry(finished.job, _STATUSES[ending])
            if move.started_at is not None:
                entry["duration"] = round((move.ended_at - move.started_at) / SECOND, 6)
            entry["message"] = _said(finished, _HOW[ending])
            if move.error is not None:
                entry |= {"exception": move.error.type, "message": move.error.message}
            entries.append(entry)
        self._write(entries)

    def _entry(self, job: ClaimedJob, status: str) -> dict[str, Any]:
        return {
            "level": "error" if status in ("failed", "crashed") else "info",
            "id": id_text(job.id),
            "uuid": id_text(job.id),
            "connection": self._connection,
            "queue": job.queue,
            "job": job.name,
            "status": status,
            "attempts": job.attempts + 1,
            "tenant": job.tenant,
            "trace": _trace(job),
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def _write(self, entries: list[dict[str, Any]]) -> None:
        if entries:
            _print(self._out, "".join(msgspec.json.encode(e).decode() + "\n" for e in entries))


def _ending(move: Transition) -> Ending | None:
    """As it is shown: what snoozes was released, though it leaves no trace."""
    snoozed = move.ending is None and move.started_at is not None and move.due_at is not None
    return Ending.RELEASED if snoozed else move.ending


_WORDS = {
    Ending.COMPLETED: ("DONE", "32"),
    Ending.RETRIED: ("FAIL", "33"),
    Ending.FAILED: ("FAIL", "31"),
    Ending.RELEASED: ("RELEASED", "33"),
    Ending.CANCELLED: ("CANCELLED", "33"),
    Ending.CRASHED: ("CRASHED", "31"),
}
_WITH_REASON = (Ending.FAILED, Ending.RETRIED, Ending.CRASHED)
_STATUSES = {
    Ending.COMPLETED: "success",
    Ending.RETRIED: "released_after_exception",
    Ending.FAILED: "failed",
    Ending.RELEASED: "released",
    Ending.CANCELLED: "cancelled",
    Ending.CRASHED: "crashed",
}


_HOW = {
    Ending.COMPLETED: "completed",
    Ending.RETRIED: "failed, to be tried again",
    Ending.FAILED: "failed",
    Ending.RELEASED: "released",
    Ending.CANCELLED: "cancelled",
    Ending.CRASHED: "crashed",
}


def _said(job: Run | Finished, how: str | None = None) -> str:
    """`Starting background sync job`; with `how`, `Background sync job completed`."""
    options = job.definition.options if job.definition is not None else _NO_OPTIONS
    name = job.job.name
    return options.starting(name) if how is None else options.ended(name, how)


def _called(job: Run | Finished, how: str | None = None) -> str:
    """What a job without a title is called in a line is its name."""
    has_title = job.definition is not None and job.definition.options.title is not None
    return _said(job, how) if has_title else job.job.name


_NO_OPTIONS = JobOptions()


def _trace(job: ClaimedJob) -> str:
    return trace_id(job.id, decode_options(job.options).trace)


def _print(out: TextIO, text: str) -> None:
    """A reader that went away (`| head`) or a full disk must not end jobs."""
    with contextlib.suppress(OSError):
        out.write(text)
        out.flush()


def _spent(move: Transition) -> str:
    if move.started_at is None:
        return ""
    seconds = (move.ended_at - move.started_at) / SECOND
    return f"{seconds:.2f}s" if seconds >= 1 else f"{seconds * 1000:.2f}ms"


def _memory() -> str:
    import psutil

    return f"{psutil.Process().memory_info().rss / 1_000_000:.0f}MB"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
