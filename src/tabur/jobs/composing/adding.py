"""Jobs for a batch that is there already."""

from __future__ import annotations

from collections.abc import Iterable

from tabur.jobs.composing.pending import Member, checked_members, put_members
from tabur.jobs.composing.plan import Group, Plan
from tabur.jobs.options import DispatchSettings
from tabur.model.batches import BatchRecord
from tabur.model.compositions import Composition


def adding(jobs: Iterable[Member], batch: BatchRecord, made_as: Composition) -> Plan:
    """Where the batch is, and on the queue that it was given."""
    settings = DispatchSettings(connection=made_as.connection, queue=made_as.queue)
    plan = Plan(settings, adds_to=batch.id)
    put_members(
        plan, checked_members(jobs), Group(batch.name, id=batch.id, settings=settings), settings
    )
    return plan
