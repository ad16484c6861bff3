"""Where the progress, warnings and files of running jobs go."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from tabur.drivers.contract import ProgressWrite
from tabur.errors import JobCancelled, PayloadError
from tabur.jobs.context import MAX_ATTACHMENT, NO_PROGRESS, JobContext
from tabur.model.ids import id_text
from tabur.model.records import Attachment, Progress
from tabur.model.text import storable
from tabur.worker.runtime import Runtime


class StoreReporter:
    """Buffers progress until the worker's next turn; writes files at once."""

    def __init__(self, runtime: Runtime, worker: str = "") -> None:
        self._runtime = runtime
        self.stopping = False
        self.backing = runtime.backing(worker)
        self._lock = threading.Lock()
        self._changed: dict[bytes, JobContext] = {}
        self._cancelling: frozenset[bytes] = frozenset()
        self._attached: dict[tuple[bytes, bytes], int] = {}

    def progress(self, ctx: JobContext) -> None:
        self._changed[ctx.job.id] = ctx

    def attach(self, ctx: JobContext, content: Path | bytes, name: str, media_type: str) -> int:
        job = ctx.job
        with self._lock:
            n = self._attached.get((job.id, job.token), 0) + 1
            self._attached[job.id, job.token] = n
        relative = f"{id_text(job.id)}/{n}"
        size = keep_file(content, self._runtime.settings.attachments / relative)
        shown = storable(Path(name).name, limit=250) or f"attachment-{n}"
        attachment = Attachment(n, shown, size, media_type, relative)
        if not self._runtime.driver.claiming.attach(job.id, job.token, attachment):
            raise JobCancelled(id_text(job.id))
        return n

    def cancelled(self, ctx: JobContext) -> bool:
        return ctx.job.id in self._cancelling

    # the worker's side

    @property
    def waiting(self) -> bool:
        """Progress has been made that is not written yet."""
        return bool(self._changed)

    def take_changed(self) -> list[ProgressWrite]:
        """The progress to be written with this turn."""
        changed, self._changed = self._changed, {}
        return [
            ProgressWrite(ctx.job.id, ctx.job.token, ctx.last_progress) for ctx in changed.values()
        ]

    def last(self, ctx: JobContext) -> Progress | None:
        """The progress to be settled with a job that ended; None where nothing was reported."""
        self._changed.pop(ctx.job.id, None)
        if self._attached:
            self._attached.pop((ctx.job.id, ctx.job.token), None)
        return ctx.last_progress if ctx.last_progress is not NO_PROGRESS else None

    def cancelling(self, job_ids: Iterable[bytes]) -> None:
        self._cancelling = frozenset(job_ids)


def keep_file(content: Path | bytes, target: Path) -> int:
    """Copy `content` to `target`, whole or not at all; answers its size in bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{uuid4().hex}")
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > MAX_ATTACHMENT:
        raise PayloadError(
            f"The attachment has {size:,} bytes, and {MAX_ATTACHMENT:,} are allowed: split it, or "
            "store it elsewhere and attach a link."
        )
    try:
        if isinstance(content, bytes):
            beside.write_bytes(content)
        else:
            with content.open("rb") as source, beside.open("wb") as copy:
                while block := source.read(1024 * 1024):
                    copy.write(block)
        os.replace(beside, target)  # noqa: PTH105  # a Path method reads as a rename here
    finally:
        beside.unlink(missing_ok=True)
    return size
