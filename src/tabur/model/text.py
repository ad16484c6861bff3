"""Making any text storable: no store is to refuse a group of jobs for one odd character."""

from __future__ import annotations

from typing import Any


def storable(text: str, *, limit: int) -> str:
    """`text` without NUL and lone surrogates, at most `limit` bytes of UTF-8.

    What is cut is said, and the end is kept: of a traceback the last lines matter most.
    """
    clean = text.replace("\0", "\\x00").encode("utf-8", "backslashreplace")
    if len(clean) > limit:
        head, tail = limit // 4, limit - limit // 4 - 40
        left_out = len(clean) - head - tail
        clean = clean[:head] + f"\n… {left_out} bytes left out …\n".encode() + clean[-tail:]
    return clean.decode("utf-8", "ignore")


def shown(value: Any, *, limit: int = 60) -> str:
    """Any value for an error's text: short, printable, and never an error itself (the repr of a
    number of 5,000 digits is one)."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__}>"
    return storable(text[:limit], limit=4 * limit + 100)
