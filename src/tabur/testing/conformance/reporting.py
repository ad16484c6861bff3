"""Progress and attachments: written under the job's current token, and under no other."""

from __future__ import annotations

from tabur.drivers.contract import ProgressWrite
from tabur.model.ids import new_id, new_token
from tabur.model.outcome import Settled
from tabur.model.records import Attachment, Progress
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject, hand_back, move

HALF = Progress(done=5, total=10, unit="rows", message="نصف", warnings=2)
FULL = Progress(done=10, total=10)


def progress_is_written_under_the_current_token(store: Subject) -> None:
    claimed = store.running()
    assert store.find(claimed.id).progress == Progress()
    store.report(claimed, HALF)
    assert store.find(claimed.id).progress == HALF
    store.report(claimed, FULL)
    assert store.find(claimed.id).progress == FULL


def progress_under_another_token_is_refused(store: Subject) -> None:
    claimed, neighbour = store.running(), store.running()
    store.report(claimed, HALF)
    wrong = ProgressWrite(claimed.id, new_token(), FULL)
    unknown = ProgressWrite(new_id(), claimed.token, FULL)
    right = ProgressWrite(neighbour.id, neighbour.token, FULL)
    store.turn(progress=[wrong, unknown, right])
    assert store.find(claimed.id).progress == HALF
    assert store.find(neighbour.id).progress == FULL


def progress_after_the_claim_has_moved_on_is_refused(store: Subject) -> None:
    lost, ended = store.running(), store.running()
    store.report(ended, HALF)
    store.settle(move(ended, State.COMPLETED))
    store.settle(hand_back(lost))
    for claimed in (lost, ended):
        store.report(claimed, FULL)
    assert (store.find(lost.id).progress, store.find(ended.id).progress) == (Progress(), HALF)
    again = store.claim_one()
    store.report(lost, FULL)
    assert store.find(again.id).progress == Progress()


def a_settle_brings_the_last_progress(store: Subject) -> None:
    claimed = store.running()
    store.report(claimed, HALF)
    store.settle(move(claimed, State.COMPLETED, progress=FULL))
    assert store.find(claimed.id).progress == FULL


def a_settle_without_progress_leaves_it(store: Subject) -> None:
    claimed = store.running()
    store.report(claimed, HALF)
    store.settle(move(claimed, State.PENDING))
    assert store.find(claimed.id).progress == HALF
    store.settle(move(store.claim_one(), State.COMPLETED))
    assert store.find(claimed.id).progress == HALF


def progress_beside_the_settle_of_its_job_is_late(store: Subject) -> None:
    claimed = store.running()
    turn = store.turn(
        settle=[move(claimed, State.COMPLETED, progress=FULL)],
        progress=[ProgressWrite(claimed.id, claimed.token, HALF)],
    )
    assert list(turn.settled) == [Settled.DONE]
    assert store.find(claimed.id).progress == FULL


def odd_progress_does_not_fail_its_neighbours(store: Subject) -> None:
    odd, neighbour, ended = store.running(), store.running(), store.running()
    for progress in (
        Progress(done=2**70),
        Progress(done=1, total=2**64),
        Progress(message="\ud800"),
    ):
        turn = store.turn(
            settle=[move(ended, State.COMPLETED)],
            progress=[
                ProgressWrite(odd.id, odd.token, progress),
                ProgressWrite(neighbour.id, neighbour.token, HALF),
            ],
        )
        assert list(turn.settled) == [Settled.DONE], progress
        assert store.find(neighbour.id).progress == HALF, progress
        assert store.state(odd) is State.PROCESSING, progress


def attachments_are_kept_by_number(store: Subject) -> None:
    claimed = store.running()
    second = Attachment(2, "تقرير.csv", 2**33, "text/csv", "x/2")
    first, replaced = Attachment(1, "a", 1, "t/a", "x/1"), Attachment(1, "b", 2, "t/b", "x/1b")
    for each in (second, first, replaced):
        assert store.driver.claiming.attach(claimed.id, claimed.token, each)
    assert list(store.driver.inspection.attachments(claimed.id)) == [replaced, second]
    store.settle(move(claimed, State.FAILED))
    assert list(store.driver.inspection.attachments(claimed.id)) == [replaced, second]


def attaching_under_another_token_is_refused(store: Subject) -> None:
    claimed = store.running()
    file = Attachment(1, "a", 1, "t/a", "x/1")
    attach = store.driver.claiming.attach
    assert not attach(claimed.id, new_token(), file)
    assert not attach(new_id(), claimed.token, file)
    store.settle(hand_back(claimed))
    assert not attach(claimed.id, claimed.token, file)
    again = store.claim_one()
    assert not attach(claimed.id, claimed.token, file)
    assert attach(again.id, again.token, file)
    store.settle(move(again, State.COMPLETED))
    assert not attach(again.id, again.token, Attachment(2, "b", 1, "t/a", "x/2"))
    assert list(store.driver.inspection.attachments(claimed.id)) == [file]


def attachments_of_an_unknown_job_are_none(store: Subject) -> None:
    assert list(store.driver.inspection.attachments(new_id())) == []
