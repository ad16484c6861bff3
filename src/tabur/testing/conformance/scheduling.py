"""Schedules: made, changed, removed, found, and seen to be due."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.model.ids import new_id
from tabur.model.schedules import DueSchedules, Origin, ScheduleRecord
from tabur.testing.conformance.subject import Subject

#: Each is another one than all others, and stands here in the order of its characters.
NAMES = ("A", "a", "a ", "a/b", "aa", "z" * 200, "ß", "á", "تقرير", "\U0001f43b")
#: What no store is asked to keep.
NO_NAMES = ("", "x" * 201, "a\0b", "half \ud83d")


def a_schedule_is_kept_with_all_its_fields(store: Subject) -> None:
    given = store.schedule(
        origin=Origin.CODE,
        definition=bytes(range(256)),
        cron_expression="0,15,30,45 * * * * *" + ",59" * 160,
        timezone="America/Argentina/ComodRivadavia",
        last_run_at=store.clock.ahead(-60),
        waiting=store.clock.ahead(-30),
        last_job=new_id(),
        is_active=False,
    )
    assert store.stored() == given
    plain = store.schedule("plain", next_run_at=None)
    assert store.stored("plain") == plain


def a_schedule_is_changed_by_who_has_seen_its_last_revision(store: Subject) -> None:
    first = store.schedule()
    second = replace(
        first,
        origin=Origin.CODE,
        definition=b"2",
        cron_expression="every 30 seconds",
        timezone="Asia/Baghdad",
        next_run_at=store.clock.ahead(9),
        waiting=store.clock(),
        is_active=False,
        revision=2,
    )
    assert store.driver.schedules.put([second]) == 1
    assert store.stored() == second
    assert store.driver.schedules.put([replace(first, revision=3)]) == 1
    assert store.stored() == replace(first, revision=3)


def a_change_that_comes_too_late_is_passed_over_alone(store: Subject) -> None:
    put = store.driver.schedules.put
    first = store.schedule()
    second = replace(first, definition=b"2", revision=2)
    other = replace(first, name="other")
    assert put([second]) == 1
    stale = [replace(first, definition=b"late", revision=n) for n in (1, 2, 4)]
    assert put([stale[0], other, *stale[1:]]) == 1
    assert store.stored() == second
    assert store.stored("other") == other


def what_is_not_there_cannot_be_changed(store: Subject) -> None:
    record = store.schedule()
    assert store.driver.schedules.put([replace(record, name="gone", revision=2)]) == 0
    assert store.driver.schedules.find("gone") is None


def putting_again_changes_nothing(store: Subject) -> None:
    record = store.schedule()
    assert store.driver.schedules.put([record]) == 0
    assert store.driver.schedules.put([]) == 0
    assert store.stored() == record


def a_change_keeps_when_it_ran_last(store: Subject) -> None:
    record = store.schedule()
    move = store.advancing(record)
    assert store.advance(move) == [True]
    changed = replace(record, definition=b"2", revision=2, last_run_at=1, last_job=new_id())
    assert store.driver.schedules.put([changed]) == 1
    stored = store.stored()
    assert stored.definition == b"2"
    assert (stored.last_run_at, stored.last_job) == (record.next_run_at, move.ticks[0].job)


def of_an_origin_what_is_not_named_is_removed(store: Subject) -> None:
    schedules = store.driver.schedules
    kept, gone = (store.schedule(name, origin=Origin.CODE) for name in ("kept", "gone"))
    store.schedule("a table's", origin=Origin.TABLE)
    store.advance(store.advancing(gone))
    stale = replace(kept, definition=b"late", revision=7)
    fresh = replace(kept, name="fresh")
    assert schedules.put([stale, fresh], origin=Origin.CODE) == 1
    assert _names(store) == ["a table's", "fresh", "kept"]
    assert store.stored("kept") == kept
    assert len(schedules.ticks("gone", limit=9)) == 1
    assert schedules.put([], origin=Origin.CODE) == 0
    assert _names(store) == ["a table's"]
    assert schedules.put([]) == 0
    assert _names(store) == ["a table's"]


def who_changes_its_origin_goes_with_that(store: Subject) -> None:
    record = store.schedule(origin=Origin.CODE)
    assert store.driver.schedules.put([replace(record, origin=Origin.TABLE, revision=2)]) == 1
    store.driver.schedules.put([], origin=Origin.CODE)
    assert _names(store) == ["nightly"]
    store.driver.schedules.put([], origin=Origin.TABLE)
    assert _names(store) == []


def what_no_store_can_keep_is_refused_with_all_beside_it(store: Subject) -> None:
    good = replace(store.schedule(), name="good")
    bad: list[ScheduleRecord] = [replace(good, name=name) for name in NO_NAMES]
    bad += [replace(good, name="bad", cron_expression=text) for text in ("x" * 501, "\0", "\ud83d")]
    bad += [replace(good, name="bad", timezone=text) for text in ("x" * 101, "\0")]
    bad += [replace(good, name="bad", next_run_at=moment) for moment in (-1, 2**53, 2**70)]
    for each in bad:
        with pytest.raises(ConfigError):
            store.driver.schedules.put([good, each], origin=Origin.TABLE)
    assert _names(store) == ["nightly"]


# what is due


def what_is_due_comes_with_the_longest_due_first(store: Subject) -> None:
    schedules = store.driver.schedules
    assert schedules.due(limit=9) == DueSchedules(store.clock(), (), None)
    ago = {name: store.schedule(name, next_run_at=store.clock.ahead(-n)) for n, name in _ago(4)}
    now = store.schedule("now")
    later = store.schedule("later", next_run_at=store.clock.ahead(5))
    store.schedule("much later", next_run_at=store.clock.ahead(50))
    longest_first = (ago["4"], ago["3"], ago["2"], ago["1"], now)
    due_at = later.next_run_at
    assert schedules.due(limit=9) == DueSchedules(store.clock(), longest_first, due_at)
    assert schedules.due(limit=2) == DueSchedules(store.clock(), longest_first[:2], due_at)
    store.clock.advance(5)
    found = schedules.due(limit=9)
    assert found.due == (*longest_first, later)
    assert found.next_due == store.clock.ahead(45)


def what_rests_or_has_ended_is_not_due(store: Subject) -> None:
    store.schedule("paused", is_active=False)
    store.schedule("paused for later", is_active=False, next_run_at=store.clock.ahead(5))
    store.schedule("ended", next_run_at=None)
    assert store.driver.schedules.due(limit=9) == DueSchedules(store.clock(), (), None)


def what_is_paused_rests_until_it_is_resumed(store: Subject) -> None:
    put, due = store.driver.schedules.put, store.driver.schedules.due
    record = store.schedule()
    put([replace(record, is_active=False, revision=2)])
    assert due(limit=9).due == ()
    resumed = replace(record, revision=3)
    put([resumed])
    assert due(limit=9).due == (resumed,)


def what_was_removed_is_not_due(store: Subject) -> None:
    store.schedule("a", origin=Origin.CODE)
    store.schedule("b")
    store.schedule("c", next_run_at=store.clock.ahead(5))
    store.driver.schedules.put([], origin=Origin.CODE)
    store.driver.schedules.delete("b")
    store.driver.schedules.delete("c")
    assert store.driver.schedules.due(limit=9) == DueSchedules(store.clock(), (), None)


# looking, and removing


def schedules_are_listed_by_name_page_by_page(store: Subject) -> None:
    for name in reversed(NAMES):
        store.schedule(name)
    assert _names(store) == list(NAMES)
    seen: list[str] = []
    while page := store.driver.schedules.list(limit=3, after=seen[-1] if seen else ""):
        assert len(page) <= 3
        seen += [each.name for each in page]
    assert seen == list(NAMES)
    behind_what_is_gone = store.driver.schedules.list(limit=1, after="B")
    assert [each.name for each in behind_what_is_gone] == ["a"]


def each_name_is_another_one(store: Subject) -> None:
    for name in NAMES:
        store.schedule(name, definition=name.encode())
    for name in NAMES:
        assert store.stored(name).definition == name.encode()
    assert store.driver.schedules.delete("a")
    assert _names(store) == [name for name in NAMES if name != "a"]
    assert store.driver.schedules.find("a") is None
    assert store.driver.schedules.find("Á") is None


def a_schedule_is_deleted_once_and_its_history_stays(store: Subject) -> None:
    move = store.advancing(store.schedule())
    store.advance(move)
    assert store.driver.schedules.delete("nightly") is True
    assert store.driver.schedules.delete("nightly") is False
    assert store.driver.schedules.find("nightly") is None
    assert list(store.driver.schedules.ticks("nightly", limit=9)) == list(move.ticks)


def what_can_be_no_name_is_refused_wherever_one_is_given(store: Subject) -> None:
    schedules = store.driver.schedules
    for name in NO_NAMES:
        asked: list[Callable[[], object]] = [
            partial(schedules.find, name),
            partial(schedules.delete, name),
            partial(schedules.ticks, name, limit=1),
        ]
        if name:
            asked += [
                partial(schedules.list, limit=1, after=name),
                partial(schedules.ticks, None, limit=1, before=1, below=name),
            ]
        for each in asked:
            with pytest.raises(ConfigError, match="name"):
                each()


def _ago(count: int) -> list[tuple[int, str]]:
    return [(n, str(n)) for n in range(1, count + 1)]


def _names(store: Subject) -> list[str]:
    return [each.name for each in store.driver.schedules.list(limit=100)]
