"""How jobs were put together, as it is kept with them: where a job finds the results of what it
waited for, and what a batch is for whoever looks at it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job waited for, and finds the results of: one job; with `many`, several in a list; all
    those of a `batch`; or the `parts` of a graph, by their names."""

    name: str = ""
    """Of a workflow's step."""
    jobs: tuple[bytes, ...] = ()
    many: bool = False
    batch: bytes | None = None
    parts: tuple[Source, ...] = ()


class Kind(StrEnum):
    BATCH = "batch"
    CHAIN = "chain"
    WORKFLOW = "workflow"


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a workflow: its jobs, and the names of the steps that it waits for."""

    name: str
    label: str
    """The job and its arguments, or how many jobs there are."""
    jobs: tuple[bytes, ...] = ()
    after: tuple[str, ...] = ()


class Composition(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a batch was made as."""

    kind: Kind = Kind.BATCH
    connection: str | None = None
    queue: str | None = None
    """For jobs that are added later."""
    parts: tuple[bytes, ...] = ()
    """Batches within it."""
    steps: tuple[Step, ...] = ()


_composition = msgspec.json.Decoder(Composition)
PLAIN = Composition()


def decode_composition(options: bytes) -> Composition:
    """Of a batch's options."""
    return _composition.decode(options) if options else PLAIN
