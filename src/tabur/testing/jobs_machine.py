"""Random steps of single jobs, compared with the model after each; the state machine adds bonds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tabur.drivers.contract import Exchange, Filter, ProgressWrite
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Cancel, Dispatch, Ending, FollowUp, Transition, Unblock
from tabur.model.records import (
    ALL_QUEUES,
    Attachment,
    ClaimedJob,
    Crash,
    Hold,
    NewJob,
    Pause,
    Progress,
)
from tabur.model.states import FINISHED, MOVES, Isolation, State
from tabur.testing.conformance.subject import CRASH, Clock
from tabur.testing.model import Model
from tabur.testing.model_job import ModelJob

QUEUES = ("a", "b")
WORKERS = ("w1", "w2")

_draws = st.data()
_workers = st.sampled_from(WORKERS)
_slots = st.sampled_from(
    [
        {},
        {Isolation.THREAD: 1},
        {Isolation.THREAD: 3, Isolation.PROCESS: 1},
        {Isolation.PROCESS: 2, Isolation.THREAD: 0},
        dict.fromkeys(Isolation, 9),
    ]
)
_isolations = st.sampled_from([*[Isolation.THREAD] * 4, *Isolation])
_delays = st.sampled_from([None, None, None, 1, 30, 60])
_queues = st.sampled_from(["a", "a", "a", "b"])
_resting = st.sampled_from([*QUEUES, ALL_QUEUES])
_blockers = st.sampled_from([0, 0, 0, 0, 1, 2])
_orders = st.permutations(QUEUES).map(tuple) | st.sampled_from([("a",), ("b",)])


class JobsMachine(RuleBasedStateMachine):
    make_driver: Callable[[Clock], Any]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.driver = self.make_driver(self.clock)
        self.driver.migrate()
        self.model = Model(self.clock)
        self.claims: list[ClaimedJob] = []
        """Every claim there ever was, those that have moved on included."""
        self.seen: dict[bytes, State] = {}

    def teardown(self) -> None:
        self.driver.close()

    # steps

    @rule(data=_draws, count=st.integers(1, 6))
    def dispatch(self, data: st.DataObject, count: int) -> None:
        jobs = [self._new(data) for _ in range(count)]
        if data.draw(st.booleans()):
            jobs.insert(
                data.draw(st.integers(0, count)), self._new(data, job_id=self._any_id(data))
            )
        self.driver.dispatching.dispatch(jobs)
        self.model.dispatch(jobs)

    @rule(data=_draws, worker=_workers, queues=_orders, slots=_slots, lost=st.booleans())
    def work(
        self,
        data: st.DataObject,
        worker: str,
        queues: Sequence[str],
        slots: dict[Isolation, int],
        lost: bool,  # noqa: FBT001  # Hypothesis draws it
    ) -> None:
        """One turn; where its answer is `lost`, its claims are released and it is repeated."""
        held = self._held_by(worker)
        ending = data.draw(st.lists(st.sampled_from(held), unique=True)) if held else []
        turn = Exchange(
            worker=worker,
            settle=[self._transition(data, each) for each in ending],
            progress=[self._report(data, each) for each in held],
            token=new_token(),
            queues=queues,
            slots=slots,
            watch=True,
        )
        self._exchange(turn)
        self._begin(data)
        if lost:
            held_under = [job for job in self.model.held_by(worker) if job.token == turn.token]
            assert self.driver.claiming.release_token(turn.token) == len(held_under)
            for job in held_under:
                self.model.release(job)
            self._exchange(msgspec.structs.replace(turn, token=new_token()))

    @precondition(lambda self: self.claims)
    @rule(data=_draws)
    def write_late(self, data: st.DataObject) -> None:
        """Everything a worker could still send under a claim, current or long gone."""
        claim = data.draw(st.sampled_from(self.claims))
        job = self.model.jobs.get(claim.id)
        current = job is not None and job.token == claim.token
        file = Attachment(1, "a.csv", 1, "text/csv", "x")
        assert self.driver.claiming.attach(claim.id, claim.token, file) is current
        if not current:
            late = self._transition(data, claim)
            report = self._report(data, claim)
            self._exchange(Exchange(claim.token.hex()[:8], settle=[late], progress=[report]))
            assert self.driver.claiming.release_token(claim.token) == len(
                [job for job in self.model.jobs.values() if job.token == claim.token]
            )
            for each in list(self.model.jobs.values()):
                if each.token == claim.token:
                    self.model.release(each)

    @rule(data=_draws, worker=_workers)
    def release_worker(self, data: st.DataObject, worker: str) -> None:
        """It stopped, or died: under all its jobs, or under some, or under none that it held."""
        held = self.model.held_by(worker)
        blamed = st.frozensets(st.sampled_from([*self.model.jobs, new_id()]))
        crash = data.draw(st.none() | st.builds(Crash, st.just(CRASH.error), st.none() | blamed))
        assert self.driver.claiming.release_worker(worker, crash=crash) == len(held)
        for job in held:
            self.model.release(job, crash=crash)

    @rule(data=_draws)
    def cancel(self, data: st.DataObject) -> None:
        job_id = self._any_id(data)
        assert self.driver.dispatching.cancel(job_id) == self.model.cancel(job_id)

    @rule(data=_draws)
    def retry(self, data: st.DataObject) -> None:
        """Two at once, or one after the other: what is bound may come back with another one."""
        ids = [self._any_id(data), self._any_id(data)]
        bound = any(self.model.bonds.is_bound(job_id) for job_id in ids)
        for some in [[each] for each in ids] if bound else [ids]:
            retried = sum([self.model.retry(job_id) for job_id in some])
            assert self.driver.dispatching.retry(iter(some)) == retried

    @rule(data=_draws, state=st.sampled_from(sorted(FINISHED)), queue=_queues)
    def forget(self, data: st.DataObject, state: State, queue: str) -> None:
        job_id = self._any_id(data)
        assert self.driver.dispatching.forget_one(job_id) == self.model.forget(job_id)
        if data.draw(st.booleans()):
            return
        gone = [job.new.id for job in self.model.in_state(state) if job.new.queue == queue]
        which = Filter(states=(state,), queue=queue)
        assert self.driver.dispatching.forget(which) == len(gone)
        for job_id in gone:
            self.model.forget(job_id)

    @rule(queue=st.sampled_from(QUEUES))
    def clear(self, queue: str) -> None:
        waiting = self.model.in_state(State.PENDING, State.SCHEDULED, State.BLOCKED)
        cleared = [job for job in waiting if job.new.queue == queue]
        assert self.driver.dispatching.clear(queue) == len(cleared)
        for job in cleared:
            self.model.cancel(job.new.id)

    @rule(queue=_resting, seconds=st.none() | st.integers(1, 90))
    def pause(self, queue: str, seconds: int | None) -> None:
        until = None if seconds is None else self.clock.ahead(seconds)
        self.driver.control.pause(Pause(queue, 0, until))
        self.model.pauses[queue] = Pause(queue, self.clock(), until)

    @rule(queue=_resting)
    def resume(self, queue: str) -> None:
        rested = queue in self.model.lasting_pauses()
        assert self.driver.control.resume(queue) is rested
        self.model.pauses.pop(queue, None)

    @rule(reason=st.none() | st.sampled_from(["restored", "moved"]))
    def hold(self, reason: str | None) -> None:
        """Hold, or release."""
        before = self.model.hold
        if reason is not None:
            self.driver.control.hold(reason)
            self.model.hold = before or Hold(self.clock(), reason)
        else:
            assert self.driver.control.release_hold() is (before is not None)
            self.model.hold = None
            if before is not None:
                self.model.moment = self.clock()

    @rule(seconds=st.integers(1, 90))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)

    # what holds after each step

    @invariant()
    def all_holds(self) -> None:
        self.model.step += 1
        self.every_job_stands_as_in_the_model()
        self.each_is_counted_once()
        self.history_holds_each_ended_attempt_once()
        self.signals_are_as_they_were_given()

    def every_job_stands_as_in_the_model(self) -> None:
        for job_id, job in self.model.jobs.items():
            record = self.driver.inspection.find(job_id)
            assert record is not None, "a job was lost"
            if record.state is State.PENDING and job.state is State.SCHEDULED:
                self.model.see_promoted(job)
            assert record.state is job.state
            assert (record.attempts, record.crashes) == (job.attempts, self._crashes(job, record))
            assert (record.cancelling, record.progress) == (job.cancelling, job.progress)
            assert record.due_at == job.due_at
            if job.state is State.PROCESSING:
                assert record.worker == job.worker
            self._moved(job_id, record.state)

    def each_is_counted_once(self) -> None:
        count, everything = self.driver.inspection.count, len(self.model.jobs)
        by_state = [count(Filter(states=(state,)), at_most=10_000) for state in State]
        assert by_state == [len(self.model.in_state(state)) for state in State]
        assert sum(by_state) == count(Filter(), at_most=10_000) == everything
        listed = [each.id for each in self.driver.inspection.list(Filter(), limit=10_000)]
        assert listed == sorted(self.model.jobs, reverse=True)
        sizes = {each.queue: each.size for each in self.driver.inspection.queues()}
        unfinished = [job for job in self.model.jobs.values() if job.state not in FINISHED]
        for queue in QUEUES:
            assert sizes.get(queue, 0) == len([job for job in unfinished if job.new.queue == queue])

    def history_holds_each_ended_attempt_once(self) -> None:
        for job_id, job in self.model.jobs.items():
            endings = [each.ending for each in self.driver.inspection.attempts(job_id)]
            assert endings == job.endings

    def signals_are_as_they_were_given(self) -> None:
        signals = self.driver.control.signals()
        assert {each.queue: each for each in signals.pauses} == self.model.lasting_pauses()
        assert (signals.hold, signals.moment) == (self.model.hold, self.model.moment)

    # helpers, in the order in which the steps call them

    def _new(self, data: st.DataObject, *, job_id: bytes | None = None) -> NewJob:
        delay = data.draw(_delays)
        return NewJob(
            id=job_id or new_id(),
            name="job",
            queue=data.draw(_queues),
            isolation=data.draw(_isolations),
            payload=data.draw(st.binary(max_size=4)),
            created_at=self.clock(),
            priority=data.draw(st.integers(-1, 1)),
            due_at=None if delay is None else self.clock.ahead(delay),
            blockers=data.draw(_blockers),
        )

    def _any_id(self, data: st.DataObject) -> bytes:
        """Of a job of any state, or of none."""
        unknown = new_id()
        return data.draw(st.sampled_from([*self.model.jobs, unknown]))

    def _held_by(self, worker: str) -> list[ClaimedJob]:
        tokens = {job.token for job in self.model.held_by(worker)}
        current = {job.new.id for job in self.model.held_by(worker)}
        return [each for each in self.claims if each.token in tokens and each.id in current]

    def _transition(self, data: st.DataObject, claim: ClaimedJob) -> Transition:
        to, ending = data.draw(st.sampled_from(_ENDS))
        delay = data.draw(st.integers(1, 60))
        charged = 0 if ending is None else 1
        return Transition(
            id=claim.id,
            token=claim.token,
            to=to,
            ending=ending,
            attempts=claim.attempts + charged,
            exceptions=claim.exceptions + charged,
            crashes=claim.crashes + data.draw(st.sampled_from([0, 0, 0, 1])),
            worker="w1",
            started_at=self.clock(),
            ended_at=self.clock(),
            due_at=self.clock.ahead(delay) if to is State.SCHEDULED else None,
            error=CRASH.error if ending is Ending.CRASHED else None,
            progress=data.draw(st.none() | st.builds(Progress, st.integers(0, 9))),
            follow_ups=tuple(data.draw(st.lists(self._follow_up(data), max_size=3))),
            bonds=claim.bonds,
        )

    def _follow_up(self, data: st.DataObject) -> st.SearchStrategy[FollowUp]:
        """Nobody unblocks what waits for a job or a batch but these."""
        anything = [*self.model.jobs, new_id()]
        free = [each for each in anything if not self.model.bonds.has_sources(each)]
        blocked = [job.new.id for job in self.model.in_state(State.BLOCKED) if job.new.id in free]
        return st.one_of(
            st.sampled_from(blocked or free).map(Unblock),
            st.sampled_from(free).map(Unblock),
            st.sampled_from(anything).map(lambda job_id: Cancel(job_id, "no")),
            st.just(Dispatch(self._new(data))),
        )

    def _report(self, data: st.DataObject, claim: ClaimedJob) -> ProgressWrite:
        done = data.draw(st.integers(10, 19))
        return ProgressWrite(claim.id, claim.token, Progress(done=done))

    def _exchange(self, turn: Exchange) -> None:
        answer = self.driver.claiming.exchange(turn)
        settled = [self.model.settle(each) for each in turn.settle]
        assert list(answer.settled) == settled
        for write in turn.progress:
            self.model.report(write.id, write.token, write.progress)
        self.model.claim(
            answer.claimed, turn.queues, turn.slots, token=turn.token, worker=turn.worker
        )
        self.claims += answer.claimed
        assert answer.now == self.clock()
        if turn.slots:
            for job in self.model.in_state(State.SCHEDULED):
                if self.model.is_due(job):
                    self.model.see_promoted(job)
            assert answer.next_due == self.model.next_due()
        if turn.watch:
            marked = {job.new.id for job in self.model.held_by(turn.worker) if job.cancelling}
            ended = {each.id for each in turn.settle}
            assert marked <= answer.cancelling | ended
            assert answer.cancelling <= marked | ended

    def _begin(self, data: st.DataObject) -> None:
        """Some that were claimed, now or long ago, begin."""
        if not self.claims:
            return
        beginning = data.draw(st.lists(st.sampled_from(self.claims), max_size=4))
        self.driver.claiming.begin([(each.id, each.token) for each in beginning])
        for each in beginning:
            job = self.model.jobs.get(each.id)
            if job is not None and job.token == each.token:
                self.model.bonds.begin(job)

    def _crashes(self, job: ModelJob, record: Any) -> int:
        """A finished job's record need not tell of its crashes; its error does."""
        return int(record.crashes) if job.state in FINISHED else job.crashes

    def _moved(self, job_id: bytes, state: State) -> None:
        """Each move that is seen is one of the table, or two of it by way of pending."""
        before = self.seen.get(job_id, state)
        by_pending = (before, State.PENDING) in MOVES and (State.PENDING, state) in MOVES
        assert before is state or (before, state) in MOVES or by_pending
        self.seen[job_id] = state


_ENDS: list[tuple[State, Ending | None]] = [
    (State.COMPLETED, Ending.COMPLETED),
    (State.FAILED, Ending.FAILED),
    (State.CANCELLED, Ending.CANCELLED),
    (State.PENDING, Ending.RETRIED),
    (State.PENDING, Ending.CRASHED),
    (State.PENDING, None),
    (State.SCHEDULED, Ending.RELEASED),
]
