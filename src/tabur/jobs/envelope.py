"""The form of what is encrypted or signed in a store. It is text, for whatever reads payloads as
text, and no JSON begins so:

    sealed.1.KEY.BOX        BOX: nonce (12 bytes), ciphertext and tag (16), in URL-safe base64
    signed.1.KEY.MAC.BODY   MAC: HMAC-SHA256, in URL-safe base64; BODY as it was

KEY is the id of the key. Both are bound to a place (whose body it is): moved elsewhere they do not
open. The cipher is AES-256-GCM, with a key of its own for each place and a nonce made of the body:
the same body in the same place is sealed alike, and no nonce ever serves two bodies.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING

from tabur.errors import SealError
from tabur.jobs.keyring import Key, KeyRing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = "1"
_NONCE = 12


class Kind(StrEnum):
    PLAIN = "plain"
    SEALED = "sealed"
    SIGNED = "signed"


def kind_of(body: bytes) -> Kind:
    if body[:1] == b"s":  # nearly all that is plain ends here
        for kind in (Kind.SEALED, Kind.SIGNED):
            if body.startswith(kind.encode() + b"."):
                return kind
    return Kind.PLAIN


def sealed(body: bytes, place: bytes, key: Key) -> bytes:
    """`body` encrypted."""
    nonce = hmac.digest(key.derived(b"nonce"), place + b"\x1f" + body, sha256)[:_NONCE]
    box = _cipher(key, place).encrypt(nonce, body, place)
    return b".".join((Kind.SEALED.encode(), *_head(key), urlsafe_b64encode(nonce + box)))


def signed(body: bytes, place: bytes, key: Key) -> bytes:
    """`body` with a signature before it."""
    return b".".join((Kind.SIGNED.encode(), *_head(key), _mac(body, place, key), body))


def opened(envelope: bytes, place: bytes, ring: KeyRing, what: str) -> bytes:
    """The body in what is not plain. Raises SealError; `what` begins its text: `Its payload`."""
    kind = kind_of(envelope)
    key_id = _key_of(envelope, what)
    how = "encrypted" if kind is Kind.SEALED else "signed"
    key = ring.opening(key_id, f"{what} is {how}")
    rest = envelope.split(b".", 3)[3]
    if kind is Kind.SEALED:
        return _decrypted(rest, place, key, what)
    mac, _, body = rest.partition(b".")
    if not hmac.compare_digest(mac, _mac(body, place, key)):
        raise _changed(what)
    return body


def body_of(envelope: bytes) -> bytes:
    """What stands in something signed, for people to look at: whether it is true was not asked."""
    return envelope.split(b".", 4)[-1]


def _key_of(envelope: bytes, what: str) -> str:
    """The id of the key. Raises SealError for what has no such form."""
    parts = envelope.split(b".", 3)
    if len(parts) == 4 and parts[1] != VERSION.encode():
        raise SealError(
            f"{what} is sealed in form {parts[1][:20].decode('ascii', 'replace')}, and this Tabur "
            f"knows form {VERSION}: install the newer one that made it, and run the job again: "
            "tabur queue:retry ID"
        )
    if len(parts) != 4 or len(parts[2]) != 8 or not parts[2].isalnum():
        raise _changed(what)
    return parts[2].decode("ascii", "replace")


def _decrypted(text: bytes, place: bytes, key: Key, what: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        box = urlsafe_b64decode(text)
        return _cipher(key, place).decrypt(box[:_NONCE], box[_NONCE:], place)
    except (InvalidTag, NotBase64, ValueError):
        raise _changed(what) from None


def _cipher(key: Key, place: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # it takes 20 ms to import

    return AESGCM(key.derived(b"encrypt\x1f" + place))


def _mac(body: bytes, place: bytes, key: Key) -> bytes:
    digest = hmac.digest(key.derived(b"sign"), place + b"\x1f" + body, sha256)
    return urlsafe_b64encode(digest)


def _head(key: Key) -> tuple[bytes, bytes]:
    return VERSION.encode(), key.id.encode()


def _changed(what: str) -> SealError:
    return SealError(
        f"{what} was changed in the store, or belongs to another job: it does not open with the "
        "key that it names. Restore it from a backup, or dispatch the job anew."
    )
