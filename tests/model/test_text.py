"""Texts that every store can keep."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabur.model.text import shown, storable

any_text = st.text(alphabet=st.characters(codec=None), max_size=300)


@given(text=any_text, limit=st.integers(100, 1000))
def test_any_text_becomes_storable_within_its_limit(text: str, limit: int) -> None:
    made = storable(text, limit=limit)
    assert len(made.encode()) <= limit
    assert "\0" not in made


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=100))
def test_what_is_storable_already_stays_as_it_is(text: str) -> None:
    assert storable(text, limit=1000) == text


def test_what_no_store_can_keep_is_written_out() -> None:
    assert storable("a\0b", limit=100) == "a\\x00b"
    assert storable("a\ud800b", limit=100) == "a\\ud800b"


def test_of_a_long_text_head_and_end_are_kept_and_the_cut_is_said() -> None:
    made = storable("first line\n" + "x" * 10_000 + "\nthe error itself", limit=1000)
    assert made.startswith("first line")
    assert made.endswith("the error itself")
    assert "bytes left out" in made
    assert len(made.encode()) <= 1000


def test_a_cut_inside_a_letter_leaves_no_half_of_it() -> None:
    for limit in range(100, 140):
        made = storable("طابور🛒" * 100, limit=limit)
        assert len(made.encode()) <= limit


def test_any_value_can_be_shown_in_an_errors_text() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise ValueError("no")

    assert shown("a\nb") == r"'a\nb'"
    assert shown("\ud800") == r"'\ud800'"
    assert shown(10**5000) == "<int>"
    assert shown(Silent()) == "<Silent>"
    assert len(shown("x" * 10_000)) == 60
