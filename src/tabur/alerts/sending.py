"""Sending by all channels at once: each has a thread of its own, and none is waited for longer
than the others may wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue

import msgspec

from tabur.alerts.channels import Channel, NotSent
from tabur.alerts.messages import Message

#: Seconds for which channels are waited for.
PATIENCE = 30.0


class Sent(msgspec.Struct, frozen=True):
    """What one channel did. `ids`: of the messages that it has sent; `error`: why not all."""

    ids: frozenset[str]
    error: str | None = None


class Sending:
    """Sends messages by channels, by name. A channel that hangs keeps its thread and nothing else:
    until it comes back, nothing more is given to it."""

    def __init__(self, channels: Mapping[str, Channel], *, patience: float = PATIENCE) -> None:
        self._channels = channels
        self._patience = patience
        self._threads: dict[str, threading.Thread] = {}

    def send(self, post: Mapping[str, Sequence[Message]]) -> dict[str, Sent]:
        """Send `post`, messages by channel. Answers what came of it within `patience`; raises
        nothing."""
        answers: SimpleQueue[tuple[str, Sent]] = SimpleQueue()
        sent: dict[str, Sent] = {}
        waiting: set[str] = set()
        for name, messages in post.items():
            if (last := self._threads.get(name)) is not None and last.is_alive():
                sent[name] = Sent(frozenset(), "It still hangs in what it was sending before.")
                continue
            thread = threading.Thread(
                target=lambda name=name, messages=messages: answers.put(
                    (name, _send(self._channels[name], messages))
                ),
                name=f"tabur-alert-{name}",
                daemon=True,  # one that hangs is to hold up nobody's exit
            )
            self._threads[name] = thread
            waiting.add(name)
            thread.start()
        end = time.monotonic() + self._patience
        while waiting:
            try:
                name, done = answers.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                break
            sent[name] = done
            waiting.discard(name)
        why = f"It did not end within {self._patience:g} s."
        return sent | {name: Sent(frozenset(), why) for name in waiting}


def _send(channel: Channel, messages: Sequence[Message]) -> Sent:
    try:
        channel.send(messages)
    except NotSent as error:
        return Sent(error.sent, str(error))
    except Exception as error:  # a library's own: its text may hold an address
        return Sent(frozenset(), f"It raised {type(error).__name__}.")
    return Sent(frozenset(message.id for message in messages))
