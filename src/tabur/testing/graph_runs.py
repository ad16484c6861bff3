"""A graph of jobs, run to its end through a driver's verbs: each job ends in the state that the
rules say, and whoever waits is called once. Needs the extra `testing`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from hypothesis import strategies as st

from tabur.drivers.contract import CancelAnswer
from tabur.model.ids import new_id
from tabur.model.outcome import Settled, Transition
from tabur.model.records import ClaimedJob, NewJob
from tabur.model.states import FINISHED, Isolation, State
from tabur.testing.conformance.subject import Subject, move
from tabur.testing.graphs import Graph, graphs, lay_out

JOBS = 30


@dataclass(frozen=True)
class Story:
    """A graph and what happens to it."""

    graph: Graph
    failing: frozenset[int]
    called_back: tuple[tuple[int, int], ...]
    """After so many turns, a job that somebody cancels."""
    slots: int
    """How many are claimed, run and settled in one turn."""


@st.composite
def stories(draw: st.DrawFn) -> Story:
    graph = draw(graphs(jobs=JOBS, groups=3))
    job = st.integers(0, max(0, graph.size - 1))
    failing = draw(st.frozensets(job, max_size=6))
    called_back = draw(st.lists(st.tuples(st.integers(0, 9), job), max_size=3))
    return Story(graph, failing, tuple(called_back), draw(st.integers(1, 5)))


def check_story(store: Subject, story: Story) -> None:
    """Raises AssertionError with the rule that was broken."""
    run = Run(store, story)
    run.to_the_end(failing=run.named(story.failing), called_back=story.called_back)
    _each_has_ended_as_the_rules_say(run)
    _batches_have_counted(run)
    _callbacks_were_called(run)
    store.driver.dispatching.retry(
        [job.id for job in run.jobs if store.state(job) is not State.COMPLETED]
    )
    run.to_the_end()
    assert {store.state(job) for job in run.jobs} <= {State.COMPLETED}
    assert all(store.batch(batch).is_complete for batch in run.batches)
    _callbacks_were_called(run)


class Run:
    """A tiny worker, at work on a queue of its own."""

    def __init__(self, store: Subject, story: Story) -> None:
        self.store, self.story = store, story
        self._queue = new_id().hex()
        layout = lay_out(
            story.graph, lambda: store.new(queue=self._queue), created_at=store.clock()
        )
        self.jobs, self.batches = layout.jobs, layout.batches
        self.failing: frozenset[bytes] = frozenset()
        self.called_back: set[bytes] = set()
        self.ran: Counter[bytes] = Counter()
        self.caught: set[bytes] = set()
        """Batches of which a job has failed, ever."""
        store.driver.dispatching.dispatch([*layout.jobs, *layout.callbacks], layout.batches)

    def named(self, numbers: Iterable[int]) -> frozenset[bytes]:
        return frozenset(self.jobs[n].id for n in numbers if n < len(self.jobs))

    def to_the_end(
        self,
        *,
        failing: frozenset[bytes] = frozenset(),
        called_back: Sequence[tuple[int, int]] = (),
    ) -> None:
        self.failing = failing
        for turn in count():
            self._call_back(self.named(n for when, n in called_back if when == turn))
            slots = {Isolation.THREAD: self.story.slots}
            claimed = self.store.claim(self._queue, slots=slots)
            if not claimed:
                return
            moves = self._run(claimed)
            assert self.store.settle(*moves) == [Settled.DONE] * len(moves)

    def is_ready(self, job_id: bytes) -> bool:
        """All jobs and batches have completed that it waits for."""
        store = self.store
        sources = [job for job in self.jobs if job.bonds and job_id in job.bonds.next]
        batches = [each for each in self.batches if job_id in each.next]
        return all(store.state(job) is State.COMPLETED for job in sources) and all(
            store.batch(batch).is_complete for batch in batches
        )

    def _call_back(self, job_ids: Iterable[bytes]) -> None:
        for job_id in job_ids:
            if self.store.driver.dispatching.cancel(job_id) is CancelAnswer.CANCELLED:
                self.called_back.add(job_id)

    def _run(self, claimed: list[ClaimedJob]) -> list[Transition]:
        """As a worker does: what belongs to a cancelled batch does not begin. Nothing is claimed
        before what it waits for has completed."""
        wanted = [each.bonds.batch for each in claimed if each.bonds and each.bonds.batch]
        cancelled = self.store.driver.batches.cancelled(wanted)
        moves: list[Transition] = []
        for each in claimed:
            assert self.is_ready(each.id)
            batch = each.bonds.batch if each.bonds else None
            if batch in cancelled:
                moves.append(move(each, State.CANCELLED, attempts=each.attempts))
                continue
            self.ran[each.id] += 1
            if each.id in self.failing and batch is not None:
                self.caught.add(batch)
            moves.append(move(each, State.FAILED if each.id in self.failing else State.COMPLETED))
        return moves


def _each_has_ended_as_the_rules_say(run: Run) -> None:
    for job in run.jobs:
        state = run.store.state(job)
        assert state in FINISHED
        assert run.ran[job.id] == (state is not State.CANCELLED)
        if job.id in run.called_back or not run.is_ready(job.id):
            assert state is State.CANCELLED
        elif state is State.CANCELLED:
            assert _batch_was_cancelled(run, job)
        else:
            assert state is (State.FAILED if job.id in run.failing else State.COMPLETED)


def _batch_was_cancelled(run: Run, job: NewJob) -> bool:
    batch = job.bonds.batch if job.bonds else None
    return batch is not None and batch in run.store.driver.batches.cancelled([batch])


def _batches_have_counted(run: Run) -> None:
    for group, batch in zip(run.story.graph.groups, run.batches, strict=True):
        states = Counter(run.store.state(run.jobs[n]) for n in group.members)
        counts = (len(group.members), 0, states[State.FAILED], states[State.CANCELLED])
        assert run.store.counts(batch) == counts
        assert run.store.batch(batch).finished_at is not None
        stopped = states[State.FAILED] > 0 and not group.allow_failures
        assert (run.store.batch(batch).cancelled_at is not None) == stopped


def _callbacks_were_called(run: Run) -> None:
    """`finally_` of each batch once, `catch` once where something has failed, and else never."""
    for batch in run.batches:
        _called(run, batch.finally_, times=1)
        _called(run, batch.catch, times=int(batch.id in run.caught))


def _called(run: Run, callbacks: tuple[bytes, ...], *, times: int) -> None:
    for job_id in callbacks:
        assert run.ran[job_id] == times
        ended = State.COMPLETED if times else State.CANCELLED
        assert run.store.find(job_id).state is ended
