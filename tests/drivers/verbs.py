"""Everything that is done often, as a person or a worker would do it, each on jobs of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from tabur.drivers.contract import Body, Filter, Rewrite
from tabur.model.ids import new_id
from tabur.model.outcome import Dispatch, Transition
from tabur.model.records import Attachment, ClaimedJob, Progress
from tabur.model.schedules import Advance, Origin, ScheduleRecord
from tabur.model.states import Isolation, State
from tabur.testing.conformance import CRASH, Subject, move
from tests.drivers.skew import CROWDED, CROWDED_BATCH, MADE_AT, QUIET, finished

_TEN = {Isolation.THREAD: 10}


class Verb:
    """`ready` makes what `act` needs; only `act` is watched."""

    def __init__(
        self, act: Callable[[Subject, Any], object], ready: Callable[[Subject], object] | None
    ) -> None:
        self._act, self._ready = act, ready

    def get_ready(self, subject: Subject) -> object:
        return self._ready(subject) if self._ready else None

    def act(self, subject: Subject, given: object) -> None:
        self._act(subject, given)


def _claimed(s: Subject) -> list[ClaimedJob]:
    s.put_many(3, queue="own")
    return s.claim("own", slots=_TEN)


def _moves(to: State, **given: Any) -> Callable[[Subject], list[Transition]]:
    return lambda s: [move(each, to, **given) for each in _claimed(s)]


def _ended(to: State) -> Callable[[Subject], list[bytes]]:
    def ended(s: Subject) -> list[bytes]:
        moves = _moves(to)(s)
        s.settle(*moves)
        return [each.id for each in moves]

    return ended


def _claim(queue: str) -> Callable[[Subject, object], object]:
    return lambda s, _: s.claim(queue, slots=_TEN, token=b"c" * 16)


def _given_back(s: Subject) -> object:
    return s.driver.claiming.release_token(b"c" * 16)


def _due(s: Subject) -> None:
    for _ in range(3):
        s.put(queue="own", due_at=s.clock.ahead(1))
    s.clock.advance(2)


def _settle(s: Subject, moves: Any) -> object:
    return s.settle(*moves)


def _retrying(s: Subject) -> list[Transition]:
    return _moves(State.SCHEDULED, exceptions=1, due_at=s.clock.ahead(9_000_000))(s)


def _following(s: Subject) -> list[Transition]:
    return [
        move(each, State.COMPLETED, follow_ups=(Dispatch(s.new(queue="own")),))
        for each in _claimed(s)
    ]


def _settled(s: Subject) -> list[Transition]:
    moves = _moves(State.FAILED)(s)
    s.settle(*moves)
    return moves


def _report(s: Subject, claimed: Any) -> None:
    for each in claimed:
        s.report(each, Progress(1, 2))


def _attach(s: Subject, claimed: Any) -> object:
    file = Attachment(1, "a.csv", 1, "text/csv", "a.csv")
    return s.driver.claiming.attach(claimed[0].id, claimed[0].token, file)


def _held_by(worker: str) -> Callable[[Subject], object]:
    return lambda s: s.claim("own", slots=_TEN, worker=worker) if s.put_many(3, queue="own") else 0


def _scheduled(s: Subject) -> ScheduleRecord:
    return s.schedule(new_id().hex())


def _moves_of_three(s: Subject) -> list[Advance]:
    return [s.advancing(_scheduled(s)) for _ in range(3)]


def _of_code(s: Subject) -> list[ScheduleRecord]:
    return [s.schedule(new_id().hex(), origin=Origin.CODE) for _ in range(3)]


def _old_ticks(s: Subject) -> None:
    record = _scheduled(s)
    ticks = [s.tick(record, due_at=n, job=None) for n in range(3)]
    s.advance(s.advancing(record, *ticks))


_FAILED = Filter(states=(State.FAILED,))
#: An hour after the crowd has ended.
_LATE = Filter(states=(State.FAILED,), ended_since=MADE_AT + 3_600_000_000)

#: On the path of every job.
WORKING: Mapping[str, Verb] = {
    "dispatch one": Verb(lambda s, _: s.put(queue="own"), None),
    "dispatch one that waits": Verb(
        lambda s, _: s.put(queue="own", due_at=s.clock.ahead(9_000_000)), None
    ),
    "dispatch many": Verb(lambda s, _: s.put_many(20, queue="own"), None),
    "dispatch a known id": Verb(
        lambda s, job: s.driver.dispatching.dispatch([job]), lambda s: s.put(queue="own")
    ),
    "claim from the crowd": Verb(_claim(CROWDED), _given_back),
    "claim from the few": Verb(_claim(QUIET), _given_back),
    "claim where nothing is": Verb(_claim("nothing"), None),
    "look, with no free slot": Verb(lambda s, _: s.turn(), None),
    "watch": Verb(lambda s, _: s.turn(worker="w9", watch=True), _held_by("w9")),
    "complete": Verb(_settle, _moves(State.COMPLETED)),
    "complete and claim": Verb(
        lambda s, moves: s.claim(CROWDED, slots=_TEN, settle=moves), _moves(State.COMPLETED)
    ),
    "retry later": Verb(_settle, _retrying),
    "fail": Verb(_settle, _moves(State.FAILED)),
    "settle what is settled": Verb(_settle, _settled),
    "complete and follow up": Verb(_settle, _following),
    "report": Verb(_report, _claimed),
    "attach": Verb(_attach, _claimed),
    "promote": Verb(lambda s, _: s.claim("own", slots=_TEN), _due),
    "release a claim": Verb(
        lambda s, token: s.driver.claiming.release_token(token),
        lambda s: s.put_many(3, queue="own") and s.claim("own", slots=_TEN)[0].token,
    ),
    "release a worker": Verb(
        lambda s, _: s.driver.claiming.release_worker("w8", crash=CRASH), _held_by("w8")
    ),
    "held": Verb(lambda s, _: s.driver.claiming.held("w7"), _held_by("w7")),
}

#: What people ask for.
LOOKING: Mapping[str, Verb] = {
    "find": Verb(lambda s, ids: s.find(ids[0]), _ended(State.FAILED)),
    "find an old one": Verb(lambda s, _: s.driver.inspection.find(finished(1)), None),
    "attempts of an old one": Verb(lambda s, _: s.driver.inspection.attempts(finished(1)), None),
    "forget an old one": Verb(lambda s, _: s.driver.dispatching.forget_one(finished(7)), None),
    "retry an old one": Verb(lambda s, _: s.driver.dispatching.retry([finished(100)]), None),
    "attempts": Verb(lambda s, ids: s.driver.inspection.attempts(ids[0]), _ended(State.FAILED)),
    "list the newest": Verb(lambda s, _: s.driver.inspection.list(Filter(), limit=50), None),
    "list further on": Verb(
        lambda s, _: s.driver.inspection.list(Filter(), limit=50, after=bytes.fromhex("04" * 16)),
        None,
    ),
    "list the failed": Verb(lambda s, _: s.driver.inspection.list(_FAILED, limit=50), None),
    "list the pending": Verb(
        lambda s, _: s.driver.inspection.list(Filter(states=(State.PENDING,)), limit=50), None
    ),
    "list the scheduled": Verb(
        lambda s, _: s.driver.inspection.list(Filter(states=(State.SCHEDULED,)), limit=50), None
    ),
    "list the failed further on": Verb(
        lambda s, _: s.driver.inspection.list(_FAILED, limit=50, after=finished(5_000)), None
    ),
    "count the pending": Verb(
        lambda s, _: s.driver.inspection.count(Filter(states=(State.PENDING,)), at_most=50), None
    ),
    "backlog of the crowd": Verb(
        lambda s, _: s.driver.inspection.backlog(CROWDED, at_most=100), None
    ),
    "backlog of the few": Verb(lambda s, _: s.driver.inspection.backlog(QUIET, at_most=100), None),
    "count the failed": Verb(lambda s, _: s.driver.inspection.count(_FAILED, at_most=50), None),
    "list what failed of late": Verb(lambda s, _: s.driver.inspection.list(_LATE, limit=50), None),
    "count what failed of late": Verb(
        lambda s, _: s.driver.inspection.count(_LATE, at_most=50), None
    ),
    "count all": Verb(lambda s, _: s.driver.inspection.count(Filter(), at_most=50), None),
    "cancel": Verb(
        lambda s, job: s.driver.dispatching.cancel(job.id), lambda s: s.put(queue="own")
    ),
    "retry": Verb(lambda s, ids: s.driver.dispatching.retry(ids), _ended(State.FAILED)),
    "forget one": Verb(
        lambda s, ids: s.driver.dispatching.forget_one(ids[0]), _ended(State.COMPLETED)
    ),
    "rewrite": Verb(
        lambda s, ids: s.driver.transfer.rewrite(
            [
                Rewrite(ids[0], Body.PAYLOAD, b"{}", b"[]"),
                Rewrite(ids[0], Body.RESULT, b"1", b"2"),
            ]
        ),
        _ended(State.COMPLETED),
    ),
    "take out": Verb(
        lambda s, _: s.driver.transfer.put_back(
            [each.id for each in s.driver.transfer.take_out(None, limit=5)]
        ),
        None,
    ),
}


def _batched(s: Subject) -> list[ClaimedJob]:
    batch = s.new_batch()
    jobs = [s.bound(batch=batch.id, queue="bound") for _ in range(4)]
    s.driver.dispatching.dispatch(jobs, [batch])
    return s.claim("bound", slots=_TEN)[:3]


def _chained(s: Subject) -> list[ClaimedJob]:
    ids = [new_id() for _ in range(3)]
    s.dispatch(
        *(
            s.bound(id=each, queue="bound", next=ids[n + 1 : n + 2], blockers=int(n > 0))
            for n, each in enumerate(ids)
        )
    )
    return s.claim("bound", slots=_TEN)


def _each(to: State, ready: Callable[[Subject], list[ClaimedJob]]) -> Verb:
    return Verb(_settle, lambda s: [move(each, to) for each in ready(s)])


def _failed_chain(s: Subject) -> list[bytes]:
    claimed = _chained(s)
    s.settle(*(move(each, State.FAILED) for each in claimed))
    return [each.id for each in claimed]


def _finished_batch(s: Subject) -> object:
    batch = s.new_batch(created_at=1)
    return s.driver.dispatching.dispatch([], [batch])


def _dispatch_batch(s: Subject, _: object) -> object:
    batch = s.new_batch()
    jobs = [s.bound(batch=batch.id, queue="bound") for _ in range(3)]
    return s.driver.dispatching.dispatch(jobs, [batch])


def _held_key(s: Subject) -> bytes:
    key = new_id()
    s.dispatch(s.keyed(key=key, queue="bound"))
    return key


_OF_BATCH = Filter(batch=CROWDED_BATCH)

#: Of jobs with bonds.
BONDED: Mapping[str, Verb] = {
    "dispatch a batch": Verb(_dispatch_batch, None),
    "dispatch under a key": Verb(
        lambda s, _: s.dispatch(s.keyed(key=new_id(), queue="bound")), None
    ),
    "dispatch under a held key": Verb(
        lambda s, key: s.dispatch(s.keyed(key=key, queue="bound")),
        _held_key,
    ),
    "complete jobs of a batch": _each(State.COMPLETED, _batched),
    "fail jobs of a batch": _each(State.FAILED, _batched),
    "complete what others wait for": _each(State.COMPLETED, _chained),
    "fail what others wait for": _each(State.FAILED, _chained),
    "retry what others waited for": Verb(
        lambda s, ids: s.driver.dispatching.retry(ids), _failed_chain
    ),
    "find a batch": Verb(lambda s, _: s.driver.batches.find(CROWDED_BATCH), None),
    "list batches": Verb(lambda s, _: s.driver.batches.list(limit=50), None),
    "prune batches": Verb(lambda s, _: s.driver.batches.prune(before=2, limit=3), _finished_batch),
    "prune batches that hang": Verb(
        lambda s, _: s.driver.batches.prune(before=2, unfinished=True, limit=3), None
    ),
    "which are cancelled": Verb(lambda s, _: s.driver.batches.cancelled([CROWDED_BATCH]), None),
    "list the jobs of a batch": Verb(
        lambda s, _: s.driver.inspection.list(_OF_BATCH, limit=50), None
    ),
    "list the jobs of a batch further on": Verb(
        lambda s, _: s.driver.inspection.list(_OF_BATCH, limit=50, after=finished(5_000)), None
    ),
}

#: Of schedulers and of who looks after them.
SCHEDULING: Mapping[str, Verb] = {
    "due": Verb(lambda s, _: s.driver.schedules.due(limit=50), None),
    "advance": Verb(lambda s, moves: s.advance(*moves), _moves_of_three),
    "advance what was advanced": Verb(
        lambda s, moves: s.advance(*moves),
        lambda s: (moves := _moves_of_three(s)) and s.advance(*moves) and moves,
    ),
    "make a schedule": Verb(lambda s, _: _scheduled(s), None),
    "change a schedule": Verb(
        lambda s, record: s.driver.schedules.put([replace(record, revision=2)]), _scheduled
    ),
    "put those of the code": Verb(
        lambda s, records: s.driver.schedules.put(records[:2], origin=Origin.CODE), _of_code
    ),
    "delete a schedule": Verb(lambda s, record: s.driver.schedules.delete(record.name), _scheduled),
    "find a schedule": Verb(lambda s, _: s.driver.schedules.find("s00000007"), None),
    "list schedules": Verb(lambda s, _: s.driver.schedules.list(limit=50), None),
    "list schedules further on": Verb(
        lambda s, _: s.driver.schedules.list(limit=50, after="s00000700"), None
    ),
    "history of one": Verb(lambda s, _: s.driver.schedules.ticks("busy", limit=50), None),
    "history of one further on": Verb(
        lambda s, _: s.driver.schedules.ticks("busy", limit=50, before=10_000_000), None
    ),
    "history of all": Verb(lambda s, _: s.driver.schedules.ticks(None, limit=50), None),
    "history of all further on": Verb(
        lambda s, _: s.driver.schedules.ticks(None, limit=50, before=7_000, below="s00006"), None
    ),
    "prune ticks": Verb(lambda s, _: s.driver.schedules.prune(before=9, limit=50), _old_ticks),
    "read notes": Verb(lambda s, _: s.driver.notes.read("alert/"), None),
    "write a note": Verb(
        lambda s, _: s.driver.notes.write(new_id().hex(), b"{}", revision=0), None
    ),
}
