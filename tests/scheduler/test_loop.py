"""The loop: what it says, how long it waits, and what it does beside."""

from __future__ import annotations

import threading

import pytest

from tabur import StoreUnavailable
from tabur.model.beats import BEATS, read_beat
from tabur.scheduler.beats import BEAT, FORGOTTEN, Beat, Interrupts
from tabur.scheduler.loop import LOOK, Chore, Loop, Scheduler
from tests.scheduler.bench import Bench, declare


def loop(bench: Bench) -> tuple[Loop, threading.Event]:
    over = threading.Event()
    made = Loop(bench.ticker(), over, say=bench.said.append, clock=lambda: bench.monotonic)
    made.begin()
    return made, over


def test_it_waits_until_the_next_is_due_and_a_second_at_most() -> None:
    bench, _ = declare(lambda it: it.every_two_seconds())
    made, _ = loop(bench)
    assert made.turn() == LOOK
    bench.pass_by(1.75)
    assert made.turn() == pytest.approx(0.25)
    bench.pass_by(0.25)
    assert made.turn() == LOOK
    assert bench.said == ["Running scheduled command: it"]


def test_a_store_that_is_away_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _ = declare(lambda it: it.every_minute())
    made, _ = loop(bench)
    due = bench.driver.schedules.due

    def away(*, limit: int) -> None:
        raise StoreUnavailable("The server does not answer.")

    monkeypatch.setattr(bench.driver.schedules, "due", away)
    waits = [made.turn() for _ in range(9)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (0.1, 5.0)
    monkeypatch.setattr(bench.driver.schedules, "due", due)
    bench.pass_by(60)
    made.turn()
    assert bench.said == [
        "Schedules wait for the store: The server does not answer.",
        "Running scheduled command: it",
        "The store answers again.",
    ]


def test_a_defect_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, _ = declare(lambda it: it.every_minute())
    made, over = loop(bench)
    monkeypatch.setattr(bench.driver.schedules, "due", lambda limit: 1 / 0)
    assert made.turn() == LOOK
    assert not over.is_set()


def test_its_beat_tells_that_it_is_well() -> None:
    bench, _ = declare(lambda it: it.every_minute())
    made, _ = loop(bench)
    made.turn()
    (note,) = bench.driver.notes.read(BEATS)
    beat = read_beat(note.value)
    assert beat is not None
    assert (beat.id, beat.kind, beat.at, beat.every) == ("one", "work", bench.clock.now, BEAT)
    for _ in range(30):
        bench.pass_by(1)
        made.turn()
    (note,) = bench.driver.notes.read(BEATS)
    assert note.revision == 7
    later = read_beat(note.value)
    assert later is not None
    assert later.at > beat.at


def test_beats_of_the_long_dead_are_removed() -> None:
    bench = Bench()
    Beat(bench.driver, "dead", "work").beat()
    bench.driver.notes.write(BEATS + "odd", b"\xff", revision=0)
    bench.clock.advance(FORGOTTEN + 1)
    Beat(bench.driver, "new", "work").beat()
    assert [note.name for note in bench.driver.notes.read(BEATS)] == ["scheduler/new"]


def test_an_interrupt_ends_those_of_now() -> None:
    bench, _ = declare(lambda it: it.every_minute())
    made, over = loop(bench)
    Interrupts(bench.driver).say()
    bench.pass_by(BEAT)
    made.turn()
    assert over.is_set()
    assert bench.said == ["Interrupt asked for: stopped."]
    _, later = loop(bench)
    assert not later.is_set()


def test_chores_have_a_thread_of_their_own_and_may_fail() -> None:
    bench, _ = declare(lambda it: it.every_minute())
    done, hangs = threading.Semaphore(0), threading.Event()

    def fails() -> None:
        done.release()
        raise ValueError("tried again")

    chores = [Chore("fails", 0.01, fails), Chore("hangs", 0.01, lambda: hangs.wait(30))]
    scheduler = Scheduler([bench.ticker()], say=bench.said.append, chores=chores)
    running = threading.Thread(target=scheduler.run)
    running.start()
    for _ in range(3):
        assert done.acquire(timeout=20)
    scheduler.stop()
    running.join(20)
    assert not running.is_alive()
    hangs.set()
    assert bench.driver.notes.read(BEATS) == []
