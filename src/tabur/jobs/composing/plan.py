"""What a chain, a batch or a workflow comes to: jobs that wait for each other, and batches that
count them, all to be dispatched at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.jobs.job import Job
from tabur.jobs.options import NO_SETTINGS, DispatchSettings
from tabur.jobs.pending import PendingJob
from tabur.model.compositions import Kind, Source, Step
from tabur.model.ids import new_id

AnyPending: TypeAlias = "PendingJob[Any] | Job[Any]"

#: Jobs that one may wait for, or that may wait for it: they stand in its record.
MOST_EDGES = 10_000
#: Settings of a whole that hold where a job has none of its own.
HANDED_ON = ("connection", "queue", "priority", "tenant", "user", "locale")


@dataclass(eq=False, slots=True)
class Node:
    """A job with its ties."""

    pending: PendingJob[Any]
    batch: bytes | None = None
    callback_of: bytes | None = None
    id: bytes = field(default_factory=new_id)
    next: list[bytes] = field(default_factory=list)
    blockers: int = 0
    sources: list[Source] = field(default_factory=list)

    def before(self, other: Node) -> None:
        """`other` waits for it."""
        self.next.append(other.id)
        other.blockers += 1
        if max(len(self.next), other.blockers) > MOST_EDGES:
            raise ConfigError(
                f"{self.pending.name}: more than {MOST_EDGES:,} jobs wait for one, or one for so "
                "many. Put them into a batch."
            )


@dataclass(eq=False, slots=True)
class Group:
    """A batch. `settings` are those of its jobs that have none of their own."""

    name: str
    kind: Kind = Kind.BATCH
    allow_failures: bool = False
    settings: DispatchSettings = NO_SETTINGS
    id: bytes = field(default_factory=new_id)
    next: list[bytes] = field(default_factory=list)
    catch: list[bytes] = field(default_factory=list)
    finally_: list[bytes] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def before(self, other: Node) -> None:
        """`other` waits for all of it: to complete, or, where failures are allowed, to end."""
        (self.finally_ if self.allow_failures else self.next).append(other.id)
        other.blockers += 1


@dataclass(slots=True)
class Piece:
    """A part of a plan that others may follow. `first`: what begins it; `last`: what others wait
    for; `result`: what they find."""

    first: list[Node]
    last: list[Node | Group]
    result: Source

    def followed_by(self, after: Piece, name: str = "") -> Piece:
        """Both: all that begins `after` waits for all that ends this one, and finds its results,
        as those of the step `name`."""
        for node in after.first:
            for each in self.last:
                each.before(node)
            node.sources.append(replace(self.result, name=name))
        # Where failures are allowed a batch's end does not tell whether it ever began.
        loose = any(isinstance(each, Group) and each.allow_failures for each in after.last)
        return Piece(self.first, [*after.last, *(self.last if loose else ())], after.result)


@dataclass(slots=True)
class Plan:
    """`settings` say where it goes and in whose transaction."""

    settings: DispatchSettings = NO_SETTINGS
    nodes: list[Node] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    """The whole first, then batches within it. None: jobs for a batch that is there already."""
    adds_to: bytes | None = None
    made_from: object = None
    """The chain, batch or workflow, for whoever writes down what was dispatched."""

    @property
    def id(self) -> bytes:
        """Of the whole."""
        return self.groups[0].id

    def group(self, group: Group) -> Group:
        self.groups.append(group)
        return group

    def job(self, given: PendingJob[Any], batch: bytes, settings: DispatchSettings) -> Piece:
        node = Node(_member(given, settings), batch=batch)
        self.nodes.append(node)
        return Piece([node], [node], Source(jobs=(node.id,)))

    def callbacks(
        self, jobs: Iterable[PendingJob[Any]], group: Group, *results: Source
    ) -> list[bytes]:
        """Jobs that wait for what happens to a batch, and are not counted by it. Answers their
        ids."""
        made = [
            Node(
                _member(each, group.settings),
                callback_of=group.id,
                blockers=1,
                sources=list(results),
            )
            for each in jobs
        ]
        self.nodes += made
        return [each.id for each in made]

    def put_off(self, settings: DispatchSettings) -> None:
        """By the delay of the whole, what waits for nothing and has none of its own."""
        if not settings.delay and settings.at is None:
            return
        for node in self.nodes:
            own = node.pending.settings
            if not node.blockers and not own.delay and own.at is None:
                later = replace(own, delay=settings.delay, at=settings.at)
                node.pending = node.pending.with_settings(later)


def pending(given: Any) -> PendingJob[Any]:
    """Raises ConfigError for what is neither a pending job nor a `Job`."""
    if isinstance(given, Job):
        return given.pending()
    if isinstance(given, PendingJob):
        return given
    raise ConfigError(
        f"{given!r:.100} is no job with its arguments: write send(order_id=7), or Sync(shop=1)."
    )


def pendings(given: Iterable[AnyPending]) -> tuple[PendingJob[Any], ...]:
    return tuple(pending(each) for each in given)


def _member(job: PendingJob[Any], whole: DispatchSettings) -> PendingJob[Any]:
    """A job as a member: where it says nothing itself, what is said of the whole holds."""
    own = job.settings
    if own.session is not None or own.after_commit:
        raise ConfigError(
            f"{job.name}: session= is for the whole: jobs.chain(…).options(session=session)."
        )
    if own.idempotency_key is not None:
        raise ConfigError(
            f"{job.name}: what waits for others, or is counted with them, takes no idempotency_key."
        )
    if whole is NO_SETTINGS:
        return job
    given = {
        option: value
        for option in HANDED_ON
        if getattr(own, option) is None and (value := getattr(whole, option)) is not None
    }
    return job.with_settings(replace(own, **given)) if given else job
