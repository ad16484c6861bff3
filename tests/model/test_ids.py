"""Ids: ordered, unique, and what RFC 9562 says they are."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabur.errors import JobNotFound
from tabur.model.ids import (
    id_bytes,
    id_text,
    idempotent_id,
    made_from_key,
    new_id,
    new_token,
    new_worker_id,
)


def test_an_id_is_a_uuid_of_version_7_and_of_this_moment() -> None:
    before = time.time_ns() // 1_000_000
    made = UUID(bytes=new_id())
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert before <= made.int >> 80 <= after
    assert datetime.fromtimestamp((made.int >> 80) / 1000, UTC).year >= 2025


def test_later_ids_sort_later(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1_750_000_000_000_000_000, 1_750_000_000_010_000_000, 1_000))
    monkeypatch.setattr("tabur.model.ids.time_ns", lambda: next(moments))
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(made)


def test_ids_are_unique_between_threads() -> None:
    made: list[bytes] = []

    def make() -> None:
        made.extend([new_id() for _ in range(20_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == len(made) == 80_000


def test_tokens_and_workers_have_ids_of_their_own() -> None:
    assert len({new_token() for _ in range(1000)}) == 1000
    assert {len(new_token()) for _ in range(10)} == {16}
    assert len({new_worker_id("host") for _ in range(1000)}) == 1000


names = st.none() | st.text(max_size=20)


@given(tenant=names, user=names, key=st.text(min_size=1, max_size=50))
def test_a_key_always_leads_to_the_same_id(tenant: str | None, user: str | None, key: str) -> None:
    made = idempotent_id((tenant, user), key)
    assert made == idempotent_id((tenant, user), key)
    assert made_from_key(made)
    assert len(made) == 16


@given(
    first=st.tuples(names, names, st.text(min_size=1)),
    second=st.tuples(names, names, st.text(min_size=1)),
)
def test_two_owners_or_keys_lead_to_two_ids(
    first: tuple[str | None, str | None, str], second: tuple[str | None, str | None, str]
) -> None:
    same = idempotent_id(first[:2], first[2]) == idempotent_id(second[:2], second[2])
    assert same == (first == second)


def test_a_separator_in_a_name_does_not_mix_two_owners() -> None:
    assert idempotent_id(("a", "b"), "c\x1fd") != idempotent_id(("a", "b\x1fc"), "d")
    assert idempotent_id(("a\x1fb", "c"), "d") != idempotent_id(("a", "b\x1fc"), "d")
    assert idempotent_id((None, None), "k") != idempotent_id(("", ""), "k")


def test_fresh_ids_are_not_made_from_a_key() -> None:
    assert not made_from_key(new_id())


@given(st.binary(min_size=16, max_size=16))
def test_an_id_has_one_text(raw: bytes) -> None:
    text = id_text(raw)
    assert id_bytes(text) == id_bytes(text.upper()) == id_bytes(UUID(text)) == id_bytes(raw) == raw


@pytest.mark.parametrize("odd", ["", "7", "x" * 36, "\0", "🛒", "0" * 5000])
def test_what_is_no_id_is_not_found(odd: str) -> None:
    with pytest.raises(JobNotFound):
        id_bytes(odd)
