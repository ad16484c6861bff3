"""A store that has gone back is put on hold, once, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabur.drivers.memory.driver import MemoryDriver
from tabur.model.clock import SECOND
from tabur.worker.supervision.moments import TOLERATED, Moments

DAY = 86_400 * SECOND


class Scene:
    """One store, and hosts that have seen it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 100 * DAY
        self.new_store()

    def new_store(self) -> None:
        self.control = MemoryDriver(clock=lambda: self.now).control

    def restored(self, *, ago: int) -> None:
        """From a backup whose last moment was then."""
        today, self.now = self.now, self.now - ago
        self.new_store()
        self.control.advance()
        self.now = today

    def host(self, name: str = "a") -> Moments:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Moments(folder, "the store")

    def looks(self, moments: Moments) -> bool:
        """Whether it puts the store on hold."""
        return moments.check(self.control.signals(), self.control)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_store_that_goes_on_is_never_held(scene: Scene) -> None:
    host = scene.host()
    for _ in range(5):
        assert not scene.looks(host)
        host.keep(scene.control.advance())
        scene.now += DAY
    assert not scene.looks(scene.host())


def test_a_backup_of_yesterday_is_held_after_a_restart_and_while_working(scene: Scene) -> None:
    host = scene.host()
    host.keep(scene.control.advance())
    scene.restored(ago=DAY)
    assert scene.looks(host)
    assert not scene.looks(host), "once is enough"
    signals = scene.control.signals()
    assert signals.hold is not None
    assert "a backup that was restored" in signals.hold.reason
    scene.restored(ago=DAY)
    assert scene.looks(scene.host())


def test_who_releases_the_hold_has_the_last_word(scene: Scene) -> None:
    """Even where the clock of the store is an earlier one than before."""
    host = scene.host()
    host.keep(scene.control.advance())
    scene.restored(ago=DAY)
    scene.now -= 2 * DAY
    assert scene.looks(host)
    assert not scene.looks(host)
    assert scene.control.release_hold()
    assert not scene.looks(host)
    assert not scene.looks(scene.host()), "it is remembered"


def test_the_last_seconds_that_a_crash_may_cost_are_no_restore(scene: Scene) -> None:
    host = scene.host()
    host.keep(scene.control.advance())
    scene.restored(ago=TOLERATED)
    assert not scene.looks(host)


def test_a_new_store_under_the_old_address_is_not_held(scene: Scene) -> None:
    host = scene.host()
    host.keep(scene.control.advance())
    scene.new_store()
    assert not scene.looks(host)


def test_a_host_that_has_not_seen_it_before_takes_it_as_it_is(scene: Scene) -> None:
    scene.host("a").keep(scene.control.advance())
    scene.restored(ago=DAY)
    assert not scene.looks(scene.host("b"))
    assert scene.looks(scene.host("a"))


def test_a_file_that_cannot_be_read_or_written_hinders_nobody(scene: Scene) -> None:
    host = scene.host()
    host.keep(scene.control.advance())
    (file,) = (scene.folder / "a").iterdir()
    file.write_text("garbage", "ascii")
    assert not scene.looks(scene.host())
    file.unlink()
    gone = Moments(scene.folder / "nowhere", "the store")
    gone.keep(scene.control.advance())
    scene.restored(ago=DAY)
    assert scene.looks(gone), "as long as it runs it knows all the same"
