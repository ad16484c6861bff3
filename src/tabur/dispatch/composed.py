"""From a plan to what a store keeps of it: jobs with their ties, and the batches that count
them."""

from __future__ import annotations

from tabur.dispatch.outgoing import Outgoing, Ties
from tabur.jobs.composing.plan import Group, Node, Plan
from tabur.jobs.scope import Scope
from tabur.jobs.seals import Seals
from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds
from tabur.model.compositions import Composition
from tabur.model.records import encode


class OutgoingBatch:
    """A batch on its way to a store. `connection` is the one that it goes to, by name."""

    def __init__(self, group: Group, scope: Scope, *, connection: str) -> None:
        self.group = group
        self._scope = scope
        self._connection = connection

    def batch(self, now: int) -> NewBatch:
        group, settings = self.group, self.group.settings
        made_as = Composition(
            kind=group.kind,
            connection=self._connection,
            queue=settings.queue,
            parts=tuple(group.parts),
            steps=tuple(group.steps),
        )
        return NewBatch(
            id=group.id,
            name=group.name,
            created_at=now,
            allow_failures=group.allow_failures,
            next=tuple(group.next),
            catch=tuple(group.catch),
            finally_=tuple(group.finally_),
            options=encode(made_as),
            tenant=settings.tenant or self._scope.tenant,
            user=settings.user or self._scope.user,
        )


def outgoing(node: Node, scope: Scope, *, code: str, seals: Seals) -> Outgoing:
    bound = node.batch is not None or node.next
    ties = Ties(
        id=node.id,
        bonds=Bonds(batch=node.batch, next=tuple(node.next)) if bound else None,
        blockers=node.blockers,
        sources=tuple(node.sources),
        callback_of=node.callback_of,
    )
    return Outgoing(node.pending, scope, code=code, ties=ties, seals=seals)


def connections_of(plan: Plan) -> set[str | None]:
    """What its jobs ask for; None: the default one."""
    whole = plan.settings.connection
    named = {
        node.pending.settings.connection or whole or node.pending.definition.options.connection
        for node in plan.nodes
    }
    return named or {whole}
