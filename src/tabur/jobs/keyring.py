"""The keys of an app: TABUR_KEY seals, and TABUR_PREVIOUS_KEYS still open what they sealed."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256

from tabur.errors import ConfigError, SealError

#: Characters that a key has at least: 16 random bytes, in hex digits.
SHORTEST_KEY = 32


def new_key() -> str:
    """A text that nobody can guess."""
    return secrets.token_urlsafe(32)


class Key:
    """A secret text. `id` names it in what it has sealed, and tells nothing of it."""

    __slots__ = ("_secret", "id")

    def __init__(self, text: str) -> None:
        self._secret = text.encode()
        self.id = self.derived(b"id").hex()[:8]

    def derived(self, purpose: bytes) -> bytes:
        """32 bytes for one purpose, from which no other's can be found."""
        return hmac.digest(self._secret, b"tabur\x1fkey\x1f" + purpose, sha256)


class KeyRing:
    """`key` seals and opens, `previous` only open."""

    def __init__(self, key: str | None, previous: Iterable[str] = ()) -> None:
        self._text = key
        keys = [Key(each) for each in (key, *previous) if each]
        self._by_id = {each.id: each for each in keys}
        self._current = keys[0] if key else None

    @property
    def all(self) -> list[Key]:
        """The current one first."""
        return list(self._by_id.values())

    def sealing(self, what: str) -> Key:
        """The current key. Raises ConfigError where there is none, or one that can be guessed;
        `what` begins its text."""
        if self._current is None:
            raise ConfigError(
                f"{what}, and this app has no key. Make one, the same for all its processes: "
                "tabur key:generate (or set TABUR_KEY, or pass Tabur(key=…))."
            )
        if len(self._text or "") < SHORTEST_KEY:
            raise ConfigError(
                f"{what}, and TABUR_KEY has only {len(self._text or '')} characters, so that it "
                "can be guessed. Make one: tabur key:generate"
            )
        return self._current

    def opening(self, key_id: str, what: str) -> Key:
        """The key that bears this id. Raises SealError; `what` begins its text."""
        if (found := self._by_id.get(key_id)) is not None:
            return found
        if not self._by_id:
            raise SealError(
                f"{what} with key {key_id}, and there is no key here. Set TABUR_KEY, restart the "
                "workers, and run the job again: tabur queue:retry ID"
            )
        raise SealError(
            f"{what} with key {key_id}, which is not among the keys here "
            f"({', '.join(each.id for each in self.all)}). Add it to TABUR_PREVIOUS_KEYS, restart "
            "the workers, and run the job again: tabur queue:retry ID"
        )
