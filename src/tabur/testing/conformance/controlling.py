"""Signals to all workers: restarts, pauses, the hold, the moment that is left in the store."""

from __future__ import annotations

import threading

from tabur.model.records import ALL_QUEUES, Hold, Pause, Signals
from tabur.testing.conformance.subject import Subject


def at_first_there_is_nothing_to_obey(store: Subject) -> None:
    assert store.driver.control.signals() == Signals(store.clock(), restarts=0, moment=0)


def each_restart_is_counted(store: Subject) -> None:
    assert store.driver.control.restart() == 1
    assert store.driver.control.restart() == 2
    assert store.driver.control.signals().restarts == 2


# pauses


def a_pause_tells_since_when_until_when_and_why(store: Subject) -> None:
    until = store.clock.ahead(60)
    store.driver.control.pause(Pause("default", 0, until, "the bank is away"))
    begun = store.clock()
    store.clock.advance(1)
    assert _pauses(store) == {"default": Pause("default", begun, until, "the bank is away")}


def a_pause_without_an_end_lasts(store: Subject) -> None:
    store.driver.control.pause(Pause("default", 0))
    begun = store.clock()
    store.clock.advance(100_000_000)
    assert _pauses(store) == {"default": Pause("default", begun, None, None)}


def a_pause_ends_by_itself(store: Subject) -> None:
    control = store.driver.control
    control.pause(Pause("a", 0, store.clock.ahead(60)))
    control.pause(Pause("b", 0, store.clock.ahead(61)))
    store.clock.advance(60)
    assert set(_pauses(store)) == {"b"}
    assert control.resume("a") is False
    control.pause(Pause("a", 0))
    assert set(_pauses(store)) == {"a", "b"}


def a_second_pause_of_a_queue_replaces_the_first(store: Subject) -> None:
    store.driver.control.pause(Pause("default", 0, store.clock.ahead(60), "first"))
    store.clock.advance(5)
    store.driver.control.pause(Pause("default", 0))
    assert _pauses(store) == {"default": Pause("default", store.clock(), None, None)}


def a_resumed_queue_rests_no_more(store: Subject) -> None:
    control = store.driver.control
    for queue in ("a", "b", ALL_QUEUES):
        control.pause(Pause(queue, 0))
    assert control.resume("a") is True
    assert control.resume("a") is False
    assert set(_pauses(store)) == {"b", ALL_QUEUES}
    assert control.resume(ALL_QUEUES) is True
    assert set(_pauses(store)) == {"b"}


def a_queue_of_any_name_may_rest_for_any_reason(store: Subject) -> None:
    names = {"a", "A", "á", "a ", "-", "رسائل", "x" * 200}
    reason = "Ωmega\n" * 160
    for name in names:
        store.driver.control.pause(Pause(name, 0, reason=reason))
    assert set(_pauses(store)) == names
    assert {each.reason for each in _pauses(store).values()} == {reason}
    assert store.driver.control.resume("a")
    assert set(_pauses(store)) == names - {"a"}


def two_who_pause_a_queue_at_once_leave_one_pause(store: Subject) -> None:
    failed: list[Exception] = []
    together = threading.Barrier(4)

    def pause(reason: str) -> None:
        together.wait()
        try:
            for _ in range(5):
                store.driver.control.pause(Pause("default", 0, None, reason))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=pause, args=(f"{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert set(_pauses(store)) == {"default"}
    assert store.driver.control.resume("default")
    assert _pauses(store) == {}


# the hold, and the moment


def a_hold_stays_as_it_was_until_it_is_released(store: Subject) -> None:
    control = store.driver.control
    control.hold("restored from Monday")
    held = Hold(store.clock(), "restored from Monday")
    store.clock.advance(5)
    control.hold("again")
    assert control.signals().hold == held
    assert control.release_hold() is True
    assert control.signals().hold is None
    assert control.release_hold() is False


def the_end_of_a_hold_advances_the_moment(store: Subject) -> None:
    control = store.driver.control
    control.hold("restored")
    assert control.signals().moment == 0
    store.clock.advance(5)
    control.release_hold()
    assert control.signals().moment == store.clock()
    store.clock.advance(5)
    control.release_hold()
    assert control.signals().moment == store.clock.ahead(-5)


def a_hold_is_no_pause(store: Subject) -> None:
    control = store.driver.control
    control.hold("restored")
    assert _pauses(store) == {}
    assert control.resume(ALL_QUEUES) is False
    assert control.resume("") is False
    control.pause(Pause(ALL_QUEUES, 0))
    assert control.release_hold() is True
    assert set(_pauses(store)) == {ALL_QUEUES}


def the_moment_never_goes_back(store: Subject) -> None:
    control = store.driver.control
    latest = store.clock()
    assert control.advance() == latest
    store.clock.advance(-60)
    assert control.advance() == latest
    assert control.signals().moment == latest
    store.clock.advance(61)
    assert control.advance() == store.clock() == control.signals().moment


def _pauses(store: Subject) -> dict[str, Pause]:
    signals = store.driver.control.signals()
    assert signals.now == store.clock()
    by_queue = {each.queue: each for each in signals.pauses}
    assert len(by_queue) == len(signals.pauses)
    return by_queue
