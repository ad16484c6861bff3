"""Ticks: decided once, together with their jobs, and remembered."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

import pytest
from msgspec.structs import replace

from tabur.drivers.contract import Filter
from tabur.errors import ConfigError
from tabur.model.ids import new_id
from tabur.model.schedules import Advance, Decision, Tick
from tabur.model.states import State
from tabur.testing.conformance.subject import Subject

MINUTE = 60_000_000


def a_tick_dispatches_its_job_and_moves_the_schedule_on(store: Subject) -> None:
    record = store.schedule()
    tick = store.tick(record, reason="because", scheduler="s1")
    job = store.new(id=tick.job, name="report", queue="reports", payload=b"[1]")
    move = store.advancing(record, tick, jobs=(job,))
    assert store.advance(move) == [True]
    assert store.stored() == replace(
        record, next_run_at=move.next_run_at, last_run_at=tick.due_at, last_job=tick.job
    )
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == [tick]
    (claimed,) = store.claim("reports")
    assert (claimed.id, claimed.name, claimed.payload) == (job.id, "report", b"[1]")


def a_tick_that_is_let_go_dispatches_nothing(store: Subject) -> None:
    record = store.schedule(last_run_at=5, last_job=new_id())
    ticks = [
        store.tick(record, due_at=store.clock() + n, decision=decision, reason="why", job=None)
        for n, decision in enumerate((Decision.SKIPPED, Decision.MISSED))
    ]
    assert store.advance(store.advancing(record, *ticks)) == [True]
    stored = store.stored()
    assert (stored.last_run_at, stored.last_job) == (5, record.last_job)
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == ticks[::-1]
    assert store.driver.inspection.count(Filter(), at_most=9) == 0


def of_many_ticks_in_one_move_the_last_that_ran_is_remembered(store: Subject) -> None:
    record = store.schedule()
    ran = [store.tick(record, due_at=store.clock() + n) for n in range(3)]
    skipped = store.tick(record, due_at=store.clock() + 3, decision=Decision.SKIPPED, job=None)
    assert store.advance(store.advancing(record, *ran, skipped)) == [True]
    stored = store.stored()
    assert (stored.last_run_at, stored.last_job) == (ran[-1].due_at, ran[-1].job)
    assert [each.id for each in store.claim()] == [each.job for each in ran]
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == [skipped, *ran[::-1]]


def a_move_without_a_tick_only_moves_on(store: Subject) -> None:
    record = store.schedule()
    look_again = store.clock.ahead(5)
    move = Advance("nightly", 1, store.clock(), (), look_again, waiting=store.clock())
    assert store.advance(move) == [True]
    assert store.stored() == replace(record, next_run_at=look_again, waiting=store.clock())
    end = Advance("nightly", 1, look_again, (), None)
    assert store.advance(end) == [True]
    assert store.stored() == replace(record, next_run_at=None)
    assert store.driver.schedules.due(limit=9).next_due is None


def what_was_moved_on_is_due_again_at_its_new_time(store: Subject) -> None:
    store.advance(store.advancing(store.schedule()))
    found = store.driver.schedules.due(limit=9)
    assert (found.due, found.next_due) == ((), store.clock() + MINUTE)
    store.clock.advance(60)
    assert store.driver.schedules.due(limit=9).due == (store.stored(),)


def a_job_of_a_tick_is_dispatched_as_any_other(store: Subject) -> None:
    record = store.schedule()
    ticks = [store.tick(record, due_at=store.clock() + n) for n in range(3)]
    known = store.put(payload=b"old")
    ticks.append(store.tick(record, due_at=store.clock() + 3, job=known.id))
    later, blocked, plain, again = (store.new(id=each.job, payload=b"new") for each in ticks)
    jobs = (
        replace(later, due_at=store.clock.ahead(60)),
        replace(blocked, blockers=1),
        plain,
        again,
    )
    assert store.advance(store.advancing(record, *ticks, jobs=jobs)) == [True]
    assert [store.state(each) for each in (later, blocked, plain)] == [
        State.SCHEDULED,
        State.BLOCKED,
        State.PENDING,
    ]
    assert [each.payload for each in store.claim()] == [b"old", b"new"]
    assert len(store.driver.schedules.ticks("nightly", limit=9)) == 4


def a_job_that_no_tick_names_is_passed_over(store: Subject) -> None:
    record = store.schedule()
    move = store.advancing(record)
    stranger = store.new()
    assert store.advance(replace(move, jobs=(stranger, *move.jobs))) == [True]
    assert [each.id for each in store.claim()] == [move.ticks[0].job]
    assert not store.is_known(stranger)


# refused


def a_move_repeated_is_refused_and_changes_nothing(store: Subject) -> None:
    move = store.advancing(store.schedule())
    assert store.advance(move) == [True]
    after = store.stored()
    assert store.advance(move) == [False]
    assert store.advance(move, move) == [False, False]
    assert store.stored() == after
    assert len(store.driver.schedules.ticks(None, limit=9)) == 1
    assert len(store.claim()) == 1


def of_two_moves_from_one_place_the_first_is_made(store: Subject) -> None:
    record = store.schedule()
    first, second = store.advancing(record), store.advancing(record)
    assert store.advance(first, second) == [True, False]
    assert [each.id for each in store.claim()] == [first.ticks[0].job]


def a_move_is_refused_alone_where_its_schedule_stands_otherwise(store: Subject) -> None:
    schedules = store.driver.schedules
    names = ("good", "changed", "paused", "deleted", "moved", "last")
    made = {name: store.schedule(name) for name in names}
    moves = [store.advancing(each) for each in made.values()]
    schedules.put([replace(made["changed"], definition=b"2", revision=2)])
    schedules.put([replace(made["paused"], is_active=False, revision=2)])
    schedules.delete("deleted")
    store.advance(Advance("moved", 1, store.clock(), (), store.clock.ahead(1)))
    unknown = replace(moves[0], schedule="unknown", ticks=())
    assert store.advance(*moves, unknown) == [True, False, False, False, False, True, False]
    assert {each.schedule for each in schedules.ticks(None, limit=9)} == {"good", "last"}
    expected = [moves[0].ticks[0].job, moves[-1].ticks[0].job]
    assert [each.id for each in store.claim()] == expected
    for name in ("changed", "paused"):
        stored = store.stored(name)
        assert (stored.next_run_at, stored.last_run_at) == (store.clock(), None)


def what_is_paused_is_not_moved_by_who_knows_that_either(store: Subject) -> None:
    record = store.schedule(is_active=False)
    assert store.advance(store.advancing(record)) == [False]
    assert store.claim() == []


def a_tick_is_not_decided_again_for_who_bears_an_old_name(store: Subject) -> None:
    schedules = store.driver.schedules
    record = store.schedule()
    first = store.advancing(record)
    store.advance(first)
    schedules.delete("nightly")
    store.schedule()
    known, new = store.tick(record), store.tick(record, due_at=store.clock() + 1)
    assert store.advance(store.advancing(record, known, new)) == [True]
    assert [each.id for each in store.claim()] == [first.ticks[0].job, new.job]
    assert not store.is_known(store.new(id=known.job))
    assert list(schedules.ticks("nightly", limit=9)) == [new, *first.ticks]


def a_tick_that_was_let_go_does_not_run_when_it_comes_back(store: Subject) -> None:
    record = store.schedule()
    skipped = store.tick(record, decision=Decision.SKIPPED, reason="no", job=None)
    store.advance(store.advancing(record, skipped))
    store.driver.schedules.put([replace(record, revision=2)])
    again = store.advancing(store.stored())
    assert store.advance(again) == [True]
    assert store.claim() == []
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == [skipped]
    stored = store.stored()
    assert (stored.next_run_at, stored.last_run_at) == (again.next_run_at, None)


def a_tick_that_stands_twice_in_a_move_is_decided_once(store: Subject) -> None:
    record = store.schedule()
    first, second = store.tick(record), store.tick(record)
    assert store.advance(store.advancing(record, first, second)) == [True]
    assert [each.id for each in store.claim()] == [first.job]
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == [first]


def what_cannot_be_kept_is_refused_with_all_beside_it(store: Subject) -> None:
    good, bad = store.schedule("good"), store.schedule("bad")
    for refused in (
        store.advancing(bad, store.tick(good)),
        store.advancing(bad, next_run_at=-1),
        store.advancing(bad, next_run_at=2**53),
        store.advancing(bad, waiting=2**70),
        store.advancing(bad, store.tick(bad, due_at=-5)),
    ):
        with pytest.raises(ConfigError, match="bad"):
            store.driver.schedules.advance([store.advancing(good), refused])
    assert (store.stored("good"), store.stored("bad")) == (good, bad)
    assert list(store.driver.schedules.ticks(None, limit=9)) == []
    assert store.claim() == []
    assert store.advance(store.advancing(good)) == [True]


def a_reason_of_any_characters_is_kept_as_far_as_it_fits(store: Subject) -> None:
    record = store.schedule()
    reasons = ["", "ساعة", "a\0b", "half \ud83d", "long " * 1000, "\U0001f43b" * 600]
    ticks = [
        store.tick(record, due_at=store.clock() + n, reason=reason, scheduler=reason)
        for n, reason in enumerate(reasons)
    ]
    assert store.advance(store.advancing(record, *ticks)) == [True]
    kept = [each.reason for each in store.driver.schedules.ticks("nightly", limit=9)][::-1]
    assert kept[:4] == ["", "ساعة", "a\\x00b", "half \\ud83d"]
    assert all(len(each) <= 500 for each in kept)
    assert kept[4].startswith("long long ")
    assert kept[5].startswith("\U0001f43b" * 100)


# what became of them


def history_is_read_from_the_latest_of_one_or_of_all(store: Subject) -> None:
    ticks = _history(store, {"a": (1, 2, 3), "b": (2, 3, 4)})
    read = store.driver.schedules.ticks
    latest_first = [("b", 4), ("b", 3), ("a", 3), ("b", 2), ("a", 2), ("a", 1)]
    assert list(read(None, limit=9)) == [ticks[each] for each in latest_first]
    assert list(read(None, limit=2)) == [ticks[each] for each in latest_first[:2]]
    assert list(read("a", limit=9)) == [ticks["a", n] for n in (3, 2, 1)]
    assert list(read("a", limit=2)) == [ticks["a", n] for n in (3, 2)]
    assert list(read("a", limit=9, before=3)) == [ticks["a", n] for n in (2, 1)]
    assert list(read(None, limit=9, before=2)) == [ticks["a", 1]]
    assert list(read(None, limit=9, before=1)) == []
    assert list(read("c", limit=9)) == []


def pages_of_history_hold_every_tick_once(store: Subject) -> None:
    ticks = _history(store, dict.fromkeys(("a", "a ", "b", "á", "ز"), (1, 2, 2**52)))
    seen: list[Tick] = []
    page = store.driver.schedules.ticks(None, limit=2)
    while page:
        seen += page
        last = page[-1]
        page = store.driver.schedules.ticks(None, limit=2, before=last.due_at, below=last.schedule)
    assert len(seen) == len(ticks) == 15
    assert [(each.due_at, each.schedule) for each in seen] == sorted(
        ((at, name) for name, at in ticks), reverse=True
    )


def pruning_takes_the_oldest_and_leaves_the_schedules(store: Subject) -> None:
    ticks = _history(store, {"a": range(1, 9), "b": (2, 3)})
    schedules = store.driver.schedules
    before = store.stored("a")
    assert schedules.prune(before=1, limit=100) == 0
    assert schedules.prune(before=8, limit=2) == 2
    left = {(each.schedule, each.due_at) for each in schedules.ticks(None, limit=99)}
    assert left == ticks.keys() - {("a", 1), ("a", 2)}
    assert schedules.prune(before=8, limit=100) == 7
    assert schedules.prune(before=8, limit=100) == 0
    assert list(schedules.ticks(None, limit=9)) == [ticks["a", 8]]
    assert list(schedules.ticks("b", limit=9)) == []
    assert store.stored("a") == before


def more_is_pruned_than_goes_at_once(store: Subject) -> None:
    record = store.schedule()
    ticks = [
        store.tick(record, due_at=1_000 + n, decision=Decision.SKIPPED, job=None)
        for n in range(1_300)
    ]
    assert store.advance(store.advancing(record, *ticks)) == [True]
    assert store.driver.schedules.prune(before=store.clock(), limit=1_200) == 1_200
    assert [each.due_at for each in store.driver.schedules.ticks("nightly", limit=2_000)] == [
        2_299 - n for n in range(100)
    ]


# at once


def each_tick_is_decided_by_one_of_many_schedulers(store: Subject) -> None:
    schedules = [store.schedule(f"s{n}") for n in range(5)]
    rounds, schedulers = 6, 4
    answers: list[bool] = []
    errors: list[BaseException] = []
    start = threading.Barrier(schedulers)

    def run(n: int) -> None:
        try:
            for _ in range(rounds):
                start.wait()
                found = [store.stored(each.name) for each in schedules]
                start.wait()
                turned = found[n:] + found[:n]  # each comes with them in another order
                answers.extend(store.advance(*map(store.advancing, turned)))
        except BaseException as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(schedulers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    ticks = store.driver.schedules.ticks(None, limit=1_000)
    expected = {
        (each.name, each.next_run_at + n * MINUTE)
        for each in schedules
        if each.next_run_at is not None
        for n in range(rounds)
    }
    assert Counter((each.schedule, each.due_at) for each in ticks) == Counter(expected)
    assert Counter(answers)[True] == len(expected)
    assert {each.id for each in store.claim()} == {each.job for each in ticks}


def _history(store: Subject, moments: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], Tick]:
    """Ticks of schedules at some moments, decided; by schedule and moment."""
    ticks: dict[tuple[str, int], Tick] = {}
    for name, at in moments.items():
        record = store.schedule(name)
        own = [
            store.tick(record, due_at=moment, decision=Decision.MISSED, reason="late", job=None)
            for moment in at
        ]
        assert store.advance(store.advancing(record, *own)) == [True]
        ticks |= {(name, each.due_at): each for each in own}
    return ticks
