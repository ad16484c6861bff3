"""Notes: small things remembered, each change by who has seen the last."""

from __future__ import annotations

import threading

import pytest

from tabur.errors import ConfigError
from tabur.model.schedules import LONGEST_NOTE, Note
from tabur.testing.conformance.scheduling import NAMES, NO_NAMES
from tabur.testing.conformance.subject import Subject


def a_note_is_kept_and_changed_by_who_has_seen_it(store: Subject) -> None:
    notes = store.driver.notes
    assert list(notes.read("")) == []
    assert notes.write("a", b"1", revision=0) is True
    assert list(notes.read("a")) == [Note("a", b"1", 1)]
    assert notes.write("a", b"2", revision=1) is True
    assert notes.write("a", b"2", revision=2) is True
    assert list(notes.read("a")) == [Note("a", b"2", 3)]


def who_has_seen_another_revision_is_told_so(store: Subject) -> None:
    notes = store.driver.notes
    assert notes.write("a", b"1", revision=1) is False
    assert list(notes.read("")) == []
    notes.write("a", b"1", revision=0)
    for revision in (0, 2, -1):
        assert notes.write("a", b"late", revision=revision) is False
        assert notes.erase("a", revision=revision) is False
    assert list(notes.read("")) == [Note("a", b"1", 1)]


def an_erased_note_is_gone_and_begins_anew(store: Subject) -> None:
    notes = store.driver.notes
    assert notes.erase("a", revision=0) is False
    notes.write("a", b"1", revision=0)
    notes.write("a", b"2", revision=1)
    assert notes.erase("a", revision=1) is False
    assert notes.erase("a", revision=2) is True
    assert notes.erase("a", revision=2) is False
    assert list(notes.read("")) == []
    assert notes.write("a", b"3", revision=2) is False
    assert notes.write("a", b"3", revision=0) is True
    assert list(notes.read("")) == [Note("a", b"3", 1)]


def notes_are_read_by_the_beginning_of_their_names(store: Subject) -> None:
    notes = store.driver.notes
    names = [
        *("alert/a", "alert/b", "alert/é", "alert0", "alert", "Alert/a", "alert%", "alert_"),
        *("alert/\ud7ff", "alert/\ue000", "alert/\U0010ffff", "alert/\U0010ffff\U0010ffff"),
        *("\U0010ffff", "\U0010ffff\U0010ffffa"),
    ]
    for name in names:
        assert notes.write(name, name.encode(), revision=0)

    def read(prefix: str) -> list[str]:
        found = notes.read(prefix)
        assert all(each.value == each.name.encode() for each in found)
        return [each.name for each in found]

    for prefix in ("", *names, "alert/", "a", "b", "alert/\ud7ff\ud7ff"):
        assert read(prefix) == sorted(name for name in names if name.startswith(prefix))


def each_name_is_another_note(store: Subject) -> None:
    for name in NAMES:
        assert store.driver.notes.write(name, name.encode(), revision=0)
    assert [each.name for each in store.driver.notes.read("")] == list(NAMES)
    assert store.driver.notes.erase("a", revision=1)
    assert [each.name for each in store.driver.notes.read("")] == [
        name for name in NAMES if name != "a"
    ]


def a_note_holds_any_bytes_up_to_its_limit(store: Subject) -> None:
    notes = store.driver.notes
    values = [b"", bytes(range(256)), b"\xff" * LONGEST_NOTE]
    for n, value in enumerate(values):
        assert notes.write("a", value, revision=n)
        assert list(notes.read("a")) == [Note("a", value, n + 1)]
    with pytest.raises(ConfigError, match="65,536"):
        notes.write("a", b"x" * (LONGEST_NOTE + 1), revision=3)
    assert list(notes.read("a")) == [Note("a", values[-1], 3)]


def what_can_be_no_name_of_a_note_is_refused(store: Subject) -> None:
    notes = store.driver.notes
    for name in NO_NAMES:
        with pytest.raises(ConfigError, match="name"):
            notes.write(name, b"", revision=0)
        with pytest.raises(ConfigError, match="name"):
            notes.erase(name, revision=1)
        if name:
            with pytest.raises(ConfigError, match="name"):
                notes.read(name)


def of_many_who_write_at_once_one_is_told_that_it_was_kept(store: Subject) -> None:
    writers, rounds = 4, 8
    kept: list[tuple[int, bytes]] = []
    errors: list[BaseException] = []
    start = threading.Barrier(writers)

    def write(n: int) -> None:
        try:
            for revision in range(rounds):
                start.wait()
                value = f"{n} {revision}".encode()
                if store.driver.notes.write("a", value, revision=revision):
                    kept.append((revision, value))
        except BaseException as error:
            errors.append(error)
            start.abort()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    assert sorted(revision for revision, _ in kept) == list(range(rounds))
    last = dict(kept)[rounds - 1]
    assert list(store.driver.notes.read("a")) == [Note("a", last, rounds)]
