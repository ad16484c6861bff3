"""Chains and batches: built and checked, not yet dispatched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tabur.errors import ConfigError
from tabur.jobs.composing.plan import AnyPending, Group, Node, Piece, Plan, pending, pendings
from tabur.jobs.composing.whole import PendingWhole, over
from tabur.jobs.options import LONGEST_NAME, DispatchSettings, check_name
from tabur.jobs.pending import PendingJob
from tabur.model.compositions import Kind, Source

Link: TypeAlias = "AnyPending | PendingChain | PendingBatch"
Member: TypeAlias = "AnyPending | PendingChain"
_Link: TypeAlias = "PendingJob[Any] | PendingChain | PendingBatch"


@dataclass(frozen=True, kw_only=True)
class PendingChain(PendingWhole):
    """Jobs that run one after the other, each when the one before has completed.

    A link may be a batch: what follows waits for all of it. The results of the link before are
    `ctx.previous`. Where one fails, those behind it are cancelled.
    """

    links: tuple[_Link, ...]
    catches: tuple[PendingJob[Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.links:
            raise ConfigError("A chain of no jobs: give it one or more.")

    def catch(self, *jobs: AnyPending) -> PendingChain:
        """Jobs that run once, when one of the chain has failed."""
        return replace(self, catches=(*self.catches, *pendings(jobs)))

    @property
    def name(self) -> str:
        return " → ".join(each.name or "batch" for each in self.links)[:LONGEST_NAME]

    def plan(self) -> Plan:
        plan = Plan(self.settings, made_from=self)
        group = plan.group(Group(self.name, Kind.CHAIN, settings=self.settings))

        def catching() -> list[bytes]:
            return plan.callbacks(self.catches, group)

        self._put(plan, group, self.settings, catching)
        group.catch += catching()
        plan.put_off(self.settings)
        return plan

    def inside(
        self,
        plan: Plan,
        group: Group,
        settings: DispatchSettings,
        catching: Callable[[], list[bytes]] = list,
    ) -> Piece:
        """As a part of something else, which counts its jobs."""
        if self.catches:
            raise ConfigError("A chain that is part of a whole has no catch of its own.")
        return self._put(plan, group, over(self.settings, settings, "A chain"), catching)

    def _put(
        self,
        plan: Plan,
        group: Group,
        settings: DispatchSettings,
        catching: Callable[[], list[bytes]],
    ) -> Piece:
        """`catching` makes the callbacks of the chain anew, for each batch in it: the chain's own
        does not count their jobs. Of all these only one is ever unblocked."""
        whole: Piece | None = None
        for each in self.links:
            if isinstance(each, PendingJob):
                piece = plan.job(each, group.id, settings)
            else:
                piece = each.inside(plan, group, settings, catching)
            whole = piece if whole is None else whole.followed_by(piece)
        assert whole is not None  # there is one link or more
        return whole


@dataclass(frozen=True, kw_only=True)
class PendingBatch(PendingWhole):
    """Jobs that run beside each other and are counted together.

    A member may be a chain: its jobs are counted too. At the first failure the batch is cancelled:
    what has not begun does not begin, unless failures are allowed.
    """

    members: tuple[PendingJob[Any] | PendingChain, ...]
    name: str = ""
    may_fail: bool = False
    thens: tuple[PendingJob[Any], ...] = ()
    catches: tuple[PendingJob[Any], ...] = ()
    finals: tuple[PendingJob[Any], ...] = ()

    def __post_init__(self) -> None:
        if self.name:
            check_name(self.name, "name")

    def then(self, *jobs: AnyPending) -> PendingBatch:
        """Jobs that run once all of it has completed."""
        return replace(self, thens=(*self.thens, *pendings(jobs)))

    def catch(self, *jobs: AnyPending) -> PendingBatch:
        """Jobs that run once, at its first failure."""
        return replace(self, catches=(*self.catches, *pendings(jobs)))

    def finally_(self, *jobs: AnyPending) -> PendingBatch:
        """Jobs that run once its last job has ended, however."""
        return replace(self, finals=(*self.finals, *pendings(jobs)))

    def allow_failures(self) -> PendingBatch:
        """A failure does not cancel what has not begun."""
        return replace(self, may_fail=True)

    def plan(self) -> Plan:
        plan = Plan(self.settings, made_from=self)
        self._put(plan, self.settings, list)
        plan.put_off(self.settings)
        return plan

    def inside(
        self,
        plan: Plan,
        chain: Group,
        settings: DispatchSettings,
        catching: Callable[[], list[bytes]] = list,
    ) -> Piece:
        """As a link of a chain; a batch of its own all the same."""
        if chain.kind is not Kind.CHAIN:
            raise ConfigError("A batch within a batch: give all jobs to one.")
        if not self.members:
            raise ConfigError("A batch of no jobs in a chain would be complete before its turn.")
        group, first = self._put(plan, over(self.settings, settings, "A batch"), catching)
        chain.parts.append(group.id)
        return Piece(first, [group], Source(batch=group.id))

    def _put(
        self, plan: Plan, settings: DispatchSettings, catching: Callable[[], list[bytes]]
    ) -> tuple[Group, list[Node]]:
        group = plan.group(
            Group(self.name, Kind.BATCH, allow_failures=self.may_fail, settings=settings)
        )
        first = put_members(plan, self.members, group, settings)
        results = Source(batch=group.id)
        group.next += plan.callbacks(self.thens, group, results)
        group.catch += plan.callbacks(self.catches, group)
        group.finally_ += plan.callbacks(self.finals, group)
        if not self.may_fail:
            group.catch += catching()
        return group, first


def checked_links(
    given: Iterable[Link],
) -> tuple[_Link, ...]:
    return tuple(
        each if isinstance(each, PendingChain | PendingBatch) else pending(each) for each in given
    )


def checked_members(given: Iterable[Member]) -> tuple[PendingJob[Any] | PendingChain, ...]:
    return tuple(each if isinstance(each, PendingChain) else pending(each) for each in given)


def put_members(
    plan: Plan,
    members: Iterable[PendingJob[Any] | PendingChain],
    group: Group,
    settings: DispatchSettings,
) -> list[Node]:
    """Answers those that begin it."""
    first: list[Node] = []
    for each in members:
        if isinstance(each, PendingChain):
            first += each.inside(plan, group, settings).first
        else:
            first += plan.job(each, group.id, settings).first
    return first
