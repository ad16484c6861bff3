"""The unique key of a job that is dispatched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tabur.errors import ConfigError, PayloadError
from tabur.jobs.pending import PendingJob
from tabur.jobs.seals import Seals
from tabur.jobs.uniqueness import Uniqueness
from tabur.model.bonds import Conflict, Unique


@dataclass(frozen=True, slots=True)
class Uniquely:
    """How one job is unique. `debounce` in microseconds; `refuses`: who dispatches it while another
    one holds its key is to get an error."""

    unique: Unique
    debounce: int = 0
    refuses: bool = False


def uniquely(pending: PendingJob[Any], tenant: str | None, seals: Seals) -> Uniquely | None:
    """None: it is not unique. Raises ConfigError where declaration and dispatch contradict each
    other, or it is encrypted and there is no key for that; PayloadError where it can have no
    unique one."""
    given, declared = pending.settings.uniqueness, pending.definition.options.uniqueness
    if given is None:
        said = declared
    else:
        try:
            said = given.over(declared).complete()
        except ConfigError as error:
            raise ConfigError(f"{pending.name}: {error}") from None
    if said is None:
        return None
    if said.debounce is not None and (pending.settings.delay or pending.settings.at is not None):
        raise ConfigError(f"{pending.name}: debounce says when it runs: leave delay and at out.")
    unique = Unique(
        key=_key(pending, said, tenant, seals),
        until_start=said.until == "start" or said.debounce is not None,
        window=said.window,
        conflict=_conflict(said),
        longest=said.max_wait,
    )
    return Uniquely(unique, said.debounce or 0, said.on_conflict == "raise")


def _conflict(said: Uniqueness) -> Conflict:
    if said.debounce is not None:
        return Conflict.REPLACE
    return Conflict.SKIP if said.on_conflict in (None, "raise") else Conflict(said.on_conflict)


def _key(pending: PendingJob[Any], said: Uniqueness, tenant: str | None, seals: Seals) -> bytes:
    """Of the job's name and its tenant, so that neither two jobs nor two tenants meet."""
    codec = pending.definition.codec
    try:
        body = codec.canonical(_identity(pending.args, said))
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadError(f"{pending.name}: no unique key can be made: {error}") from None
    text = f"{pending.name}\0{tenant or ''}\0".encode() + body
    return seals.digests(pending.definition, text)[0][:16]


def _identity(args: Any, said: Uniqueness) -> Any:
    """What tells apart the jobs of one name."""
    if said.key is not None:
        return said.key
    if isinstance(said.by, tuple):
        return [getattr(args, each) for each in said.by]
    if callable(said.by):
        return said.by(args)
    return args
