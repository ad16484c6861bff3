"""The channels by which people are told: what each one owes, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from tabur.alerts.messages import Message
from tabur.errors import TaburError


class NotSent(TaburError):
    """Why nothing was sent, or not all. Its text never holds an address, a password or a token.
    `sent`: ids of the messages that were sent nevertheless."""

    def __init__(self, why: str, *, sent: Iterable[str] = ()) -> None:
        super().__init__(why)
        self.sent = frozenset(sent)


class Channel(Protocol):
    """Sends messages. It belongs to one thread at a time, and gives up by itself when it is not
    answered: within `TIMEOUT` seconds for each answer it waits for."""

    name: str
    kind: str
    language: str

    def send(self, messages: Sequence[Message]) -> None:
        """Send all, together or one by one. Raises NotSent."""


#: Seconds that a channel waits for one answer.
TIMEOUT = 10.0
