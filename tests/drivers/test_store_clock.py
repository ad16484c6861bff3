"""The clock of a store on another machine: how far it may be off, and how often it is asked."""

from __future__ import annotations

from tabur.drivers.clock import ASK_EVERY, StoreClock

SECOND = 1_000_000_000
#: Nanoseconds: there and back, and to make a connection.
TRIP, CONNECTING = SECOND // 5, SECOND


class Far:
    """A store whose clock shows what ours does, an hour ahead."""

    def __init__(self) -> None:
        self.now = 50 * SECOND
        self.connected = False
        self.asked = 0
        self.clock = StoreClock(self.ask, lambda: self.now)

    def ask(self) -> int:
        self.asked += 1
        if not self.connected:
            self.now += CONNECTING
            self.connected = True
        self.now += TRIP // 2
        told = self.theirs
        self.now += TRIP // 2
        return told

    @property
    def theirs(self) -> int:
        return (self.now + 3600 * SECOND) // 1000


def test_it_goes_on_without_being_asked() -> None:
    store = Far()
    assert store.clock() == store.theirs
    store.asked = 0
    store.now += ASK_EVERY * SECOND
    assert store.clock() == store.theirs
    assert store.asked == 0
    store.now += 1
    assert store.clock() == store.theirs
    assert store.asked == 1


def test_what_a_connection_takes_does_not_make_it_wrong() -> None:
    store = Far()
    for _ in range(2):
        assert store.clock() == store.theirs
        store.connected = False
        store.now += ASK_EVERY * SECOND + 1
