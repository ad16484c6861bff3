"""Messages between a child and the processes of its jobs: length, then MessagePack."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from tabur.model.outcome import Outcome
from tabur.model.records import ClaimedJob, Progress


class Start(msgspec.Struct, frozen=True, tag=True):
    """Parent → job: run this."""

    job: ClaimedJob
    timeout: float
    worker: str = ""
    connection: str = ""


class CancelRun(msgspec.Struct, frozen=True, tag=True):
    """Parent → job: its owner has called it back."""


class StopSoon(msgspec.Struct, frozen=True, tag=True):
    """Parent → job: the worker stops; it may end early."""


class Attached(msgspec.Struct, frozen=True, tag=True):
    """Parent → job: the file is kept under this number, or why not."""

    n: int
    error: str | None = None


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Job process → parent: the app is loaded."""


class Reported(msgspec.Struct, frozen=True, tag=True):
    """Job → parent."""

    progress: Progress


class Attach(msgspec.Struct, frozen=True, tag=True):
    """Job → parent: keep this file; a path, or the content itself."""

    name: str
    media_type: str
    path: str | None = None
    content: bytes = b""


class Ended(msgspec.Struct, frozen=True, tag=True):
    """Job → parent."""

    outcome: Outcome


Message = Start | CancelRun | StopSoon | Attached | Ready | Reported | Attach | Ended


class Channel:
    """Sends and receives whole messages; sending is safe from any thread."""

    def __init__(self, source: IO[bytes], target: IO[bytes]) -> None:
        self._source = source
        self._target = target
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Raises OSError where the other side is gone."""
        body = _encoder.encode(message)
        with self._lock:
            self._target.write(_LENGTH.pack(len(body)) + body)
            self._target.flush()

    def receive(self) -> Message | None:
        """The next message; None where the other side is gone."""
        head = self._source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        body = self._source.read(length)
        return None if len(body) < length else _decoder.decode(body)

    def close(self) -> None:
        self._target.close()


class Hello(msgspec.Struct, frozen=True):
    """What a new process is told first, as one line: where the app is, and how it is to log."""

    app: str
    paths: Sequence[str]
    output: str = "lines"
    log_level: str = "info"

    def line(self) -> bytes:
        return msgspec.json.encode(self) + b"\n"


_LENGTH = struct.Struct("!I")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Message)
