"""Listeners: work is heard of, waits end, nobody is left hanging."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from tabur.drivers.contract import Listener
from tabur.model.outcome import Unblock
from tabur.model.states import State
from tabur.testing.conformance.subject import CRASH, Subject, hand_back, move

#: Seconds after which a test gives up hope; a wait that was woken ends at once.
LONG = 20.0


def a_wait_ends_after_its_timeout(store: Subject) -> None:
    with _listening(store) as listener:
        _until_quiet(listener)
        start = monotonic()
        listener.wait(0.05)
        assert monotonic() - start < LONG / 2


def a_dispatch_wakes_who_waits(store: Subject) -> None:
    _wakes(store, store.put)


def a_dispatch_of_several_wakes_who_waits(store: Subject) -> None:
    _wakes(store, lambda: store.put_many(5))


def a_large_dispatch_wakes_who_waits(store: Subject) -> None:
    _wakes(store, lambda: store.put_many(2_500))


def a_tick_wakes_who_waits(store: Subject) -> None:
    move = store.advancing(store.schedule())
    _wakes(store, lambda: store.advance(move))


def a_retry_by_an_operator_wakes_who_waits(store: Subject) -> None:
    claimed = store.finished(State.FAILED)
    _wakes(store, lambda: store.driver.dispatching.retry([claimed.id]))


def an_unblocked_job_wakes_who_waits(store: Subject) -> None:
    claimed, waiting = store.running(), store.put(blockers=1)
    follow_ups = (Unblock(waiting.id),)
    _wakes(store, lambda: store.settle(move(claimed, State.COMPLETED, follow_ups=follow_ups)))


def a_handed_back_job_wakes_who_waits(store: Subject) -> None:
    claimed = store.running()
    _wakes(store, lambda: store.settle(hand_back(claimed)))


def a_released_job_wakes_who_waits(store: Subject) -> None:
    store.running()
    _wakes(store, lambda: store.driver.claiming.release_worker("w1", crash=CRASH))


def a_dispatch_between_two_waits_is_heard_by_the_second(store: Subject) -> None:
    with _listening(store) as listener:
        listener.wait(0)
        store.put()
        start = monotonic()
        assert listener.wait(LONG) is True
        assert monotonic() - start < LONG / 2


def every_listener_hears(store: Subject) -> None:
    with _listening(store) as first, _listening(store) as second:
        store.put()
        assert first.wait(LONG)
        assert second.wait(LONG)


def an_interrupt_ends_the_wait_that_runs(store: Subject) -> None:
    with _listening(store) as listener:
        assert _seconds_until_woken(listener, listener.interrupt) < LONG / 2


def an_interrupt_ends_the_next_wait(store: Subject) -> None:
    with _listening(store) as listener:
        listener.wait(0)
        listener.interrupt()
        listener.interrupt()
        start = monotonic()
        listener.wait(LONG)
        assert monotonic() - start < LONG / 2
        _until_quiet(listener)


def an_interrupt_after_the_close_harms_nobody(store: Subject) -> None:
    listener = store.driver.listen()
    listener.wait(0)
    listener.close()
    listener.interrupt()


def _until_quiet(listener: Listener) -> None:
    """Who has just begun, or was just woken, may look by itself for a while; not for ever."""
    deadline = monotonic() + LONG
    while listener.wait(0.01):
        assert monotonic() < deadline, "woken again and again by nothing"


def _wakes(store: Subject, act: Callable[[], object]) -> None:
    with _listening(store) as listener:
        listener.wait(0)
        assert _seconds_until_woken(listener, act) < LONG / 2


def _seconds_until_woken(listener: Listener, act: Callable[[], object]) -> float:
    """How long a wait lasted that another thread ended by `act`."""
    waiting = threading.Event()
    errors: list[BaseException] = []

    def act_then() -> None:
        waiting.wait()
        try:
            act()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=act_then)
    thread.start()
    start = monotonic()
    waiting.set()
    listener.wait(LONG)
    lasted = monotonic() - start
    thread.join()
    assert errors == []
    return lasted


@contextmanager
def _listening(store: Subject) -> Iterator[Listener]:
    listener = store.driver.listen()
    try:
        yield listener
    finally:
        listener.close()
