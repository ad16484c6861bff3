"""The Lua scripts, and the names of the keys that all of them declare.

All keys bear one hash tag, so that in a Cluster they share a node and every script is atomic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from tabur.drivers.redis.layout import packed_reason
from tabur.errors import ConfigError
from tabur.model.batches import DEPENDENCY, UNFINISHED

_FOLDER = Path(__file__).parent / "lua"
#: In the order of KEYS in lua/keys.lua; `wake` is the channel on which workers are woken.
_NAMES = (
    *("jobs", "work", "outcomes", "progress", "files", "ids"),
    *("lanes", "returned", "due", "blocked", "taken"),
    *("claims", "marked", "sizes", "places"),
    *("completed", "failed", "cancelled", "wake"),
    *("bonds", "sources", "unique", "windows", "members"),
    *("batches", "batch_ids", "batches_unfinished", "batches_finished"),
)
#: As lua/scheduling.lua has them, always the last of KEYS; and those of lua/noting.lua.
_SCHEDULING = (
    *("schedules", "schedule_names", "schedules_due", "schedules_code", "schedules_table"),
    *("ticks", "ticks_due", "ticks_of"),
)
_NOTING = ("notes", "note_names")
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,60}")


class Script:
    """A text that the server keeps by its SHA-1."""

    def __init__(self, *parts: str) -> None:
        self.text = "\n".join(_text(part) for part in parts)
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _text(part: str) -> str:
    return _REASONS if part == "reasons" else (_FOLDER / f"{part}.lua").read_text("utf-8")


def _quoted(word: bytes) -> str:
    return "'" + "".join(f"\\{byte:03d}" for byte in word) + "'"


REPLACED = "Replaced by a later one."
#: Why a script itself cancels jobs, as outcomes have it.
_REASONS = "local DEPENDENCY, UNCOMPLETED, REPLACED = " + ", ".join(
    _quoted(packed_reason(reason)) for reason in (DEPENDENCY, UNFINISHED, REPLACED)
)


@dataclass(frozen=True)
class Keys:
    """The names of one app's keys."""

    prefix: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigError(
                f"The prefix {self.prefix!r} of Redis keys cannot be used: write 1–60 letters, "
                "digits, or any of _ . : -"
            )

    def __getitem__(self, name: str) -> str:
        return f"{{{self.prefix}}}:{name}"

    def declared(self) -> tuple[str, ...]:
        return tuple(self[name] for name in _NAMES)

    def of_schedules(self) -> tuple[str, ...]:
        return tuple(self[name] for name in _SCHEDULING)

    def of_notes(self) -> tuple[str, ...]:
        return tuple(self[name] for name in _NOTING)


_MOVES = ("keys", "counts", "lanes", "values")
_BONDS = ("bonds", "unique")
_ENDS = (
    *("reasons", *_MOVES, *_BONDS, "claims", "outcomes", "places"),
    *("cancelling", "following"),
)
_ADDS = (*_ENDS, "add", "binding")
_ERASING = ("outcomes", "bonds", "erase")

DISPATCH = Script("keys", "counts", "lanes", "add", "dispatch")
BIND = Script(*_ADDS, "bind")
CANCEL = Script(*_ENDS, "cancel")
RETRY = Script(*_ENDS, "retry")
FORGET = Script("keys", *_ERASING, "forget")
CLEAR = Script(*_ENDS, "waiting", "clear")
EXCHANGE = Script(*_ADDS, "exchange")
RELEASE = Script(*_ENDS, "release")
HELD = Script("keys", "held")
HOLDERS = Script("keys", "holders")
BEGIN = Script("keys", "values", *_BONDS, "claims", "begin")
ATTACH = Script("keys", "values", "claims", "attach")
BATCH_CANCEL = Script("keys", "bonds", "batch_cancel")
BATCH_PRUNE = Script(*_ENDS, "batch_prune")
TAKE_OUT = Script(*_MOVES, "waiting", "take_out")
TAKEN = Script("keys", "taken")
PUT_BACK = Script(*_MOVES, "places", "put_back")
GONE = Script(*_MOVES, *_ERASING, "gone")
REWRITE = Script("keys", "rewrite")
READ = Script("keys", "read")
WEIGH = Script("keys", "weigh")
FEW = Script("keys", "few")
ATTEMPTS = Script("keys", "outcomes", "attempts")
FRONTS = Script(*_MOVES, "fronts")
REGISTER = Script("register")
BEAT = Script("beat")
TELL = Script("tell")
REMOVE = Script("remove")
WORKERS = Script("workers")
SIGNALS = Script("control", "signals")
PAUSE = Script("control", "pause")
RESUME = Script("control", "resume")
ADVANCE = Script("control", "advance")

SCHEDULE_PUT = Script("scheduling", "schedule_put")
SCHEDULE_DUE = Script("scheduling", "schedule_due")
SCHEDULE_ADVANCE = Script(*_ADDS, "scheduling", "schedule_advance")
SCHEDULE_LIST = Script("scheduling", "schedule_list")
SCHEDULE_DELETE = Script("scheduling", "schedule_delete")
TICKS = Script("scheduling", "ticks")
TICKS_PRUNE = Script("scheduling", "ticks_prune")
NOTE_READ = Script("noting", "note_read")
NOTE_WRITE = Script("noting", "note_write")
NOTE_ERASE = Script("noting", "note_erase")
