"""What makes two failures the same kind of error, and which kind is new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabur.alerts.kinds import MOST, Failure, Kind, fingerprint, learn, pack, unpack
from tabur.model.clock import SECOND

HOUR = 3_600 * SECOND
NOW = 1_750_000_000 * SECOND
words = st.text(st.characters(codec="utf-8"), max_size=30)


def failure(message: str = "no", *, job: str = "send", type_: str = "E", at: int = NOW) -> Failure:
    return Failure("id", job, "mail", type_, message, at)


def learned(
    known: dict[str, Kind], *failures: Failure, now: int = NOW, first: bool = False
) -> dict[str, Kind]:
    return learn(known, failures, now=now, window=HOUR, first=first)


numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))


@given(numbers, numbers, st.uuids(), st.uuids())
def test_numbers_and_ids_make_no_kind(a: object, b: object, u: object, v: object) -> None:
    def print_(number: object, id_: object) -> str:
        return fingerprint("send", "E", f"order {number} of {id_} has no address")

    assert print_(a, u) == print_(b, v)
    assert fingerprint("send", "E", f"took {a} s") == fingerprint("send", "E", f"took {b} s")


def test_addresses_and_what_follows_the_first_line_make_no_kind() -> None:
    def of(message: str) -> str:
        return fingerprint("send", "E", message)

    assert of("no mail for ann@shop.example") == of("no mail for bob@bank.example")
    assert of("GET https://a.example/x?y failed") == of("GET http://b.example failed")
    assert of("<X object at 0x7f5ffe9b1790>") == of("<X object at 0x7f60173fe510>")
    assert of("no\nfirst detail") == of("no\nsecond detail")
    assert of("KeyError: 'price'") != of("KeyError: 'name'")


@given(words, words, words, words)
def test_the_job_and_the_type_make_a_kind(job: str, type_: str, other: str, said: str) -> None:
    assert (fingerprint(job, type_, said) == fingerprint(other, type_, said)) == (job == other)
    assert (fingerprint(job, type_, said) == fingerprint(job, other, said)) == (type_ == other)


def test_what_came_before_the_first_look_is_known() -> None:
    known = learned({}, failure("old"), first=True)
    assert [kind.is_new for kind in known.values()] == [False]
    after = learned(known, failure("old"), failure("new"))
    assert sorted(kind.is_new for kind in after.values()) == [False, True]


def test_a_new_kind_is_new_until_it_has_stayed_away() -> None:
    known = learned({}, failure(at=NOW))
    again = learned(known, failure(at=NOW + HOUR), now=NOW + HOUR)
    (kind,) = again.values()
    assert (kind.is_new, kind.first, kind.last) == (True, NOW, NOW + HOUR)
    (kind,) = learned(again, now=NOW + 2 * HOUR + 1).values()
    assert not kind.is_new
    (kind,) = learned(
        {kind.fingerprint: kind}, failure(at=NOW + 3 * HOUR), now=NOW + 3 * HOUR
    ).values()
    assert not kind.is_new, "it is known by now"


def test_it_is_forgotten_after_a_month() -> None:
    known = learned({}, failure(at=NOW))
    assert learned(known, now=NOW + 31 * 24 * HOUR) == {}


@given(st.lists(st.tuples(st.text(max_size=5), st.integers(0, HOUR)), max_size=30))
def test_the_order_of_failures_is_of_no_matter(given: list[tuple[str, int]]) -> None:
    failures = [failure(said, at=NOW - ago) for said, ago in given]
    one, other = learned({}, *failures), learned({}, *reversed(failures))
    assert pack(one) == pack(other)
    assert pack(unpack(pack(one))) == pack(one)
    assert pack(learned(one, *failures)) == pack(one), "a failure that is seen twice is one"


def test_what_is_remembered_fits_into_a_note() -> None:
    import msgspec

    failures = [failure(type_=f"E{n}", at=NOW + n) for n in range(MOST + 500)]
    kinds = learned({}, *failures)
    assert len(kinds) == MOST
    assert min(kind.last for kind in kinds.values()) == NOW + 500
    assert len(msgspec.json.encode(pack(kinds))) < 64 * 1024 - 100
