"""A Hypothesis state machine over any driver: random steps, compared with the model after each.

What it holds the driver to: a job is always in exactly one state, and none is lost; a claim is
exclusive, and a late write under an old token changes nothing; attempts, exceptions and crashes
count what they should; repeating a turn whose answer was lost is safe; a batch has counted what the
states of its jobs say; no two hold one unique key; nothing is blocked for ever.

```python
TestMyDriver = state_machine(lambda clock: MyDriver(clock=clock)).TestCase
```

Needs the extra `testing`.
"""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from tabur.drivers.contract import Filter
from tabur.errors import ConfigError
from tabur.model.batches import NewBatch
from tabur.model.bonds import Bonds, Conflict, Unique
from tabur.model.clock import SECOND
from tabur.model.ids import new_id
from tabur.model.records import DispatchOptions, NewJob, encode
from tabur.model.states import FINISHED, State
from tabur.testing.conformance.subject import MakeDriver
from tabur.testing.graphs import Graph, graphs, lay_out
from tabur.testing.jobs_machine import JobsMachine

_draws = st.data()
_graphs = graphs(jobs=4, groups=1)
_uniques = st.builds(
    Unique,
    st.sampled_from([b"a" * 16, b"b" * 16]),
    until_start=st.booleans(),
    window=st.sampled_from([None, None, 60 * SECOND]),
    conflict=st.sampled_from(Conflict),
    longest=st.sampled_from([None, 45 * SECOND]),
)


def state_machine(make_driver: MakeDriver) -> type[RuleBasedStateMachine]:
    """The machine for one driver; each run makes a fresh one, whose store must be empty."""
    return type("Machine", (DriverMachine,), {"make_driver": staticmethod(make_driver)})


class DriverMachine(JobsMachine):
    # steps

    @rule(data=_draws, graph=_graphs, repeated=st.booleans())
    def dispatch_bound(
        self,
        data: st.DataObject,
        graph: Graph,
        repeated: bool,  # noqa: FBT001  # Hypothesis draws it
    ) -> None:
        """A graph of jobs, some of a batch that was dispatched before and may have finished."""
        batch = data.draw(st.sampled_from([None, *self.model.bonds.batches]))
        keyed = data.draw(
            st.dictionaries(st.sampled_from(graph.sinks() or [0]), _uniques, max_size=1)
        )
        layout = lay_out(
            graph,
            lambda: replace(self._new(data), blockers=0),
            created_at=self.clock(),
            batch=batch,
            keyed=keyed,
        )
        for _ in range(1 + repeated):
            self._dispatch([*layout.jobs, *layout.callbacks], layout.batches)

    @rule(data=_draws, uniques=st.lists(_uniques, min_size=1, max_size=2))
    def dispatch_keyed(self, data: st.DataObject, uniques: list[Unique]) -> None:
        bound = [encode(DispatchOptions(bonds=Bonds(unique=each))) for each in uniques]
        self._dispatch([replace(self._new(data), blockers=0, options=each) for each in bound], [])

    @rule(data=_draws)
    def retry_one(self, data: st.DataObject) -> None:
        """One that others may wait for, or whose key another one may hold."""
        ended = self.model.in_state(State.FAILED, State.CANCELLED)
        bound = [job.new.id for job in ended if job.new.bonds is not None]
        if bound:
            job_id = data.draw(st.sampled_from(bound))
            assert self.driver.dispatching.retry([job_id]) == self.model.retry(job_id)

    @precondition(lambda self: self.model.bonds.batches)
    @rule(data=_draws)
    def cancel_batch(self, data: st.DataObject) -> None:
        batch_id = data.draw(st.sampled_from([*self.model.bonds.batches, new_id()]))
        cancelled = self.model.bonds.cancel(batch_id)
        assert self.driver.batches.cancel(batch_id) is cancelled

    @precondition(lambda self: self.model.bonds.batches)
    @rule(age=st.integers(30, 120), unfinished=st.booleans())
    def prune_batches(self, *, age: int, unfinished: bool) -> None:
        before = self.clock.ahead(-age)
        pruned = self.model.bonds.prune(before, unfinished=unfinished)
        prune = self.driver.batches.prune
        assert prune(before=before, unfinished=unfinished, limit=1_000) == pruned

    # what holds after each step

    @invariant()
    def all_holds(self) -> None:
        super().all_holds()
        self.every_batch_stands_as_in_the_model()
        self.batches_are_listed_newest_first()
        self.no_two_hold_one_key()
        self.nothing_is_blocked_for_ever()

    def every_batch_stands_as_in_the_model(self) -> None:
        for batch_id, batch in self.model.bonds.batches.items():
            record = self.driver.batches.find(batch_id)
            assert record is not None, "a batch was lost"
            assert (record.total, record.pending) == (len(batch.jobs), batch.pending)
            assert record.failed == batch.count(State.FAILED)
            assert record.cancelled == batch.count(State.CANCELLED)
            assert (record.cancelled_at, record.finished_at) == (
                batch.cancelled_at,
                batch.finished_at,
            )
            jobs = [job.new.id for job in batch.jobs if job.new.id in self.model.jobs]
            listed = self.driver.inspection.list(Filter(batch=batch_id), limit=1_000)
            assert [each.id for each in listed] == sorted(jobs, reverse=True)

    def batches_are_listed_newest_first(self) -> None:
        known = self.model.bonds.batches
        listed = [each.id for each in self.driver.batches.list(limit=1_000)]
        assert listed == sorted(known, reverse=True)
        cancelled = {each for each, batch in known.items() if batch.cancelled_at is not None}
        assert self.driver.batches.cancelled(list(known)) == cancelled

    def no_two_hold_one_key(self) -> None:
        alive = [job for job in self.model.jobs.values() if job.state not in FINISHED]
        held = Counter(
            job.new.bonds.unique.key
            for job in alive
            if job.new.bonds is not None
            and job.new.bonds.unique is not None
            and job.new.bonds.unique.window is None
            and job.new.id not in self.model.bonds.outlived
        )
        assert max(held.values(), default=0) <= 1

    def nothing_is_blocked_for_ever(self) -> None:
        """What is blocked waits for something that has not ended; or, brought back by itself, for
        what has to be brought back too."""
        for job in self.model.in_state(State.BLOCKED):
            jobs, batches = self.model.bonds.sources(job.new.id)
            if not jobs and not batches:
                continue
            ended = all(each.state in FINISHED for each in jobs) and all(
                each.finished_at is not None for each in batches
            )
            assert not ended or (job.endings and self.model.bonds.unfinished_sources(job.new.id))

    def _dispatch(self, jobs: list[NewJob], batches: list[NewBatch]) -> None:
        if not self.model.bonds.takes(jobs, batches):
            with pytest.raises(ConfigError):
                self.driver.dispatching.dispatch(jobs, batches)
            return
        holders = self.driver.dispatching.dispatch(jobs, batches)
        assert dict(holders) == self.model.dispatch(jobs, batches)
