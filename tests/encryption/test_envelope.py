"""What is encrypted or signed opens in its own place alone, with a key that is known."""

from __future__ import annotations

import pytest

from tabur.errors import ConfigError, SealError
from tabur.jobs.envelope import Kind, body_of, kind_of, opened, sealed, signed
from tabur.jobs.keyring import KeyRing

OLD, NEW = "an old key, of which nobody knows", "a new key, of which nobody knows"
BODY, PLACE = '{"card":"4111","name":"رنا"}'.encode(), b'["payload","01"]'
RING = KeyRing(NEW)


def seal(text: str = NEW) -> bytes:
    return sealed(BODY, PLACE, KeyRing(text).sealing("It"))


def sign(text: str = NEW) -> bytes:
    return signed(BODY, PLACE, KeyRing(text).sealing("It"))


@pytest.mark.parametrize("envelope", [seal(), sign()], ids=["sealed", "signed"])
def test_what_goes_in_comes_out(envelope: bytes) -> None:
    assert opened(envelope, PLACE, RING, "It") == BODY
    assert envelope.decode().isprintable(), "stores show payloads as text"


@pytest.mark.parametrize(
    "envelope",
    [
        (
            "sealed.1.8222ca0d.R5j3HezS2eMpYvaFgSqb35iRfl1HpPH5ZubFD3_1XL2xKHJfcTtoT6B3IF-dsDWxSUezkW3c"
            "M1B-2zk="
        ),
        (
            "signed.1.8222ca0d.c7jHMeYWethRFm5Ohpe5iSh_xJ29px1XyTHS6PJAcyA=."
            '{"card":"4111","name":"رنا"}'
        ),
    ],
    ids=["sealed", "signed"],
)
def test_what_stands_in_stores_is_read_for_ever(envelope: str) -> None:
    assert opened(envelope.encode(), PLACE, RING, "It") == BODY
    assert envelope.encode() in (seal(), sign())


def test_what_is_sealed_tells_nothing_and_what_is_signed_can_be_read() -> None:
    assert b"4111" not in seal()
    assert body_of(sign()) == BODY


def test_the_same_is_sealed_alike_and_nothing_else_is() -> None:
    key = RING.sealing("It")
    others = {
        sealed(BODY + b" ", PLACE, key),
        sealed(BODY, PLACE + b" ", key),
        seal(OLD),
    }
    assert seal() == seal()
    assert seal() not in others
    heads = {each.split(b".")[3][:16] for each in (seal(), *others)}
    assert len(heads) == len(others) + 1, "a nonce that served twice"


@pytest.mark.parametrize("envelope", [seal(), sign()], ids=["sealed", "signed"])
def test_in_another_place_it_does_not_open(envelope: bytes) -> None:
    with pytest.raises(SealError, match="belongs to another job"):
        opened(envelope, b'["payload","02"]', RING, "It")


@pytest.mark.parametrize("envelope", [seal(), sign()], ids=["sealed", "signed"])
def test_each_byte_that_is_changed_is_noticed(envelope: bytes) -> None:
    for n in range(len(envelope)):
        changed = envelope[:n] + bytes([envelope[n] ^ 1]) + envelope[n + 1 :]
        if kind_of(changed) is not Kind.PLAIN:
            with pytest.raises(SealError):
                opened(changed, PLACE, RING, "It")


@pytest.mark.parametrize(
    "odd",
    [b"sealed.", b"sealed.1", b"sealed.1.x.y", b"sealed.1.0badcafe", b"signed.1.\xff\xfe.x.y"],
)
def test_what_has_no_such_form_is_told(odd: bytes) -> None:
    with pytest.raises(SealError, match="It was changed"):
        opened(odd, PLACE, RING, "It")
    for envelope in (seal(), sign()):
        for length in range(7, len(envelope)):
            with pytest.raises(SealError):
                opened(envelope[:length], PLACE, RING, "It")


def test_a_later_form_is_told_as_such() -> None:
    with pytest.raises(SealError, match=r"sealed in form 2, .* install the newer one"):
        opened(seal().replace(b".1.", b".2.", 1), PLACE, RING, "It")


def test_an_older_key_opens_and_the_current_one_seals() -> None:
    ring = KeyRing(NEW, [OLD])
    assert opened(seal(OLD), PLACE, ring, "It") == BODY
    assert ring.sealing("It").id == KeyRing(NEW).sealing("It").id


def test_a_key_that_is_missing_is_named() -> None:
    missing = KeyRing(OLD).sealing("It").id
    with pytest.raises(SealError, match=f"key {missing}, .* TABUR_PREVIOUS_KEYS") as caught:
        opened(seal(OLD), PLACE, RING, "It")
    assert RING.sealing("It").id in str(caught.value)
    with pytest.raises(SealError, match=f"key {missing}, and there is no key here. Set TABUR_KEY"):
        opened(seal(OLD), PLACE, KeyRing(None), "It")
    assert OLD not in str(caught.value)


def test_nothing_is_sealed_without_a_key_or_with_one_that_can_be_guessed() -> None:
    with pytest.raises(ConfigError, match=r"It, and this app has no key.*tabur key:generate"):
        KeyRing(None).sealing("It")
    with pytest.raises(ConfigError, match=r"only 6 characters.*tabur key:generate") as caught:
        KeyRing("secret").sealing("It")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("plain", [b"", b"{}", b'"sealed.1"', b"sealed", b"true", b"[1]", b"null"])
def test_no_json_is_taken_for_an_envelope(plain: bytes) -> None:
    assert kind_of(plain) is Kind.PLAIN
