"""Graphs of jobs that wait for each other and for batches, drawn by Hypothesis. Needs the extra
`testing`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from msgspec.structs import replace

from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds, Unique
from tabur.model.ids import new_id
from tabur.model.records import DispatchOptions, NewJob, encode


@dataclass(frozen=True)
class Group:
    """A batch of a graph. Jobs are numbers."""

    members: tuple[int, ...]
    next: tuple[int, ...]
    """Jobs of the graph that wait for all of it; each comes after its last member."""
    allow_failures: bool
    catch: bool
    """Whether a job of its own waits for the first failure."""
    finally_: bool


@dataclass(frozen=True)
class Graph:
    size: int
    edges: tuple[tuple[int, int], ...]
    """From a job to one that waits for it and comes later."""
    groups: tuple[Group, ...]

    def blockers(self, job: int) -> int:
        sources = sum(target == job for _, target in self.edges)
        return sources + sum(job in group.next for group in self.groups)

    def sinks(self) -> list[int]:
        """Jobs for which no other one waits."""
        sources = {source for source, _ in self.edges}
        return [job for job in range(self.size) if job not in sources]


@dataclass
class Layout:
    """A graph as it is dispatched."""

    jobs: list[NewJob] = field(default_factory=list)
    batches: list[NewBatch] = field(default_factory=list)
    callbacks: list[NewJob] = field(default_factory=list)


@st.composite
def graphs(draw: st.DrawFn, *, jobs: int, groups: int) -> Graph:
    """Up to so many jobs and batches."""
    size = draw(st.integers(0, jobs))
    edges = [
        (source, target)
        for target in range(1, size)
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3, unique=True))
    ]
    count = draw(st.integers(0, groups))
    homes = draw(st.lists(st.integers(0, count), min_size=size, max_size=size))
    return Graph(size, tuple(edges), tuple(draw(_group(size, homes, n)) for n in range(count)))


@st.composite
def _group(draw: st.DrawFn, size: int, homes: list[int], n: int) -> Group:
    members = tuple(job for job, home in enumerate(homes) if home == n)
    later = range(max(members, default=-1) + 1, size)
    targets = st.lists(st.sampled_from(later), max_size=2, unique=True) if later else st.just([])
    return Group(members, tuple(draw(targets)), *(draw(st.booleans()) for _ in range(3)))


def lay_out(
    graph: Graph,
    new: Callable[[], NewJob],
    *,
    created_at: int,
    batch: bytes | None = None,
    keyed: dict[int, Unique] | None = None,
) -> Layout:
    """The jobs of a graph, made by `new`, with their bonds. Those of no group belong to `batch`,
    some have unique keys."""
    jobs, layout = [new() for _ in range(graph.size)], Layout()
    homes: dict[int, bytes] = {}
    for group in graph.groups:
        made, callbacks = _batch(group, jobs, new, created_at)
        homes |= dict.fromkeys(group.members, made.id)
        layout.batches.append(made)
        layout.callbacks += callbacks
    for n, job in enumerate(jobs):
        bonds = Bonds(
            homes.get(n, batch),
            tuple(jobs[target].id for source, target in graph.edges if source == n),
            (keyed or {}).get(n),
        )
        options = encode(DispatchOptions(bonds=bonds)) if bonds != Bonds() else b""
        layout.jobs.append(replace(job, blockers=graph.blockers(n), options=options))
    return layout


def _batch(
    group: Group, jobs: list[NewJob], new: Callable[[], NewJob], created_at: int
) -> tuple[NewBatch, list[NewJob]]:
    catch = [replace(new(), blockers=1)] if group.catch else []
    last = [replace(new(), blockers=1)] if group.finally_ else []
    batch = NewBatch(
        id=new_id(),
        name="graph",
        created_at=created_at,
        allow_failures=group.allow_failures,
        next=tuple(jobs[target].id for target in group.next),
        catch=tuple(job.id for job in catch),
        finally_=tuple(job.id for job in last),
    )
    return batch, [*catch, *last]
