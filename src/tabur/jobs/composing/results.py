"""The results of what a job waited for, read from the store when it asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tabur.errors import JobNotFound, TaburError, UnknownJob
from tabur.jobs.composing.handle import jobs_of
from tabur.jobs.handle import decode_as
from tabur.jobs.settling import Backing
from tabur.model.compositions import Source
from tabur.model.ids import id_text
from tabur.model.records import JobRecord
from tabur.model.states import State


class Results(Mapping[str, Any]):
    """By the names of the steps that it waited for; each is read when it is asked for."""

    def __init__(self, sources: Sequence[Source], backing: Backing) -> None:
        self._sources = {each.name: each for each in sources if each.name}
        self._backing = backing

    def __getitem__(self, name: str) -> Any:
        try:
            source = self._sources[name]
        except KeyError:
            known = ", ".join(self._sources) or "none"
            raise KeyError(f"{name} is not among the steps that this one waits for: {known}") from (
                None
            )
        return read(source, self._backing)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)


def previous(sources: Sequence[Source], backing: Backing) -> Any:
    """Of the one thing that a job waited for; None where there was none. Raises TaburError where
    there were several."""
    if len(sources) > 1:
        names = ", ".join(each.name for each in sources)
        raise TaburError(f"It waited for several: ask ctx.results for one of {names}.")
    return read(sources[0], backing) if sources else None


def read(source: Source, backing: Backing) -> Any:
    """Raises JobNotFound where retention was quicker, SealError where a result does not open."""
    if source.batch is not None:
        jobs = [*jobs_of(backing.driver, source.batch, State.COMPLETED)]
        return [_decoded(each, backing) for each in reversed(jobs)]
    if source.parts:
        return {part.name: read(part, backing) for part in source.parts}
    found = [_decoded(_find(each, backing), backing) for each in source.jobs]
    return found if source.many else found[0]


def _find(job_id: bytes, backing: Backing) -> JobRecord:
    record = backing.driver.inspection.find(job_id)
    if record is None:
        raise JobNotFound(id_text(job_id))
    return record


def _decoded(record: JobRecord, backing: Backing) -> Any:
    kind: Any = Any
    if backing.registry is not None:
        with suppress(UnknownJob):  # it ran on a worker that knows more
            kind = backing.registry.get(record.name).result_type
    return decode_as(backing.seals.opened_result(record, record.result), kind)
