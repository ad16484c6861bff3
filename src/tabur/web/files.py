"""Files sent to a browser: what jobs attached, and the component's own two."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tabur.model.records import Attachment

STATIC = {
    "job-progress.js": "text/javascript; charset=utf-8",
    "job-progress.css": "text/css; charset=utf-8",
}


def find_file(root: Path, attachment: Attachment) -> Path | None:
    """The attachment's file where it lies below `root` and is there; None for everything else,
    whatever the path says and wherever a link leads."""
    try:
        base = root.resolve()
        path = (base / attachment.path).resolve()
        return path if path.is_relative_to(base) and path.is_file() else None
    except (OSError, ValueError):  # too long, a NUL, a loop of links
        return None


def attachment_response(path: Path, attachment: Attachment) -> FileResponse:
    """Always a download and never a page: its content came out of somebody's data, and would
    otherwise run with the rights of this site."""
    media_type = attachment.media_type
    if not _MEDIA_TYPE.fullmatch(media_type):
        media_type = "application/octet-stream"
    disposition = content_disposition(attachment.name, f"attachment-{attachment.n}")
    return FileResponse(
        path,
        media_type=media_type,
        headers={
            "Content-Disposition": disposition,
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-cache",
            "Referrer-Policy": "no-referrer",
        },
    )


def content_disposition(name: str, fallback: str) -> str:
    """`attachment` with the name in both forms of RFC 6266: plain ASCII, and UTF-8 (RFC 8187).

    The name is one from the outside: folders, control characters and marks that turn the direction
    of the text ("exe.vsc" shown as "csv.exe") are dropped.
    """
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(c for c in last if c in _JOINERS or unicodedata.category(c) not in _DROPPED)
    clean = clean.strip(" .")
    if len(clean) > _LONGEST:
        stem, dot, ending = clean.rpartition(".")
        kept = f".{ending}" if dot and len(ending) <= 10 else ""
        clean = (stem if kept else clean)[: _LONGEST - len(kept)] + kept
    clean = clean or fallback
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", clean)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe=_ATTR_CHAR)}"


def static_response(request: Request, name: str) -> Response | None:
    """One of the component's files, or None."""
    if name not in STATIC:
        return None
    content, tag = _static(name)
    headers = {
        "ETag": f'"{tag}"',
        "Cache-Control": "public, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": STATIC[name],
    }
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers)


def matches(if_none_match: str | None, tag: str) -> bool:
    """RFC 9110 §13.1.2: weak comparison, since a proxy that compresses makes our tags weak."""
    if if_none_match is None:
        return False
    given = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in given or f'"{tag}"' in given


_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?charset=[\w-]+)?", re.ASCII)
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = "\u200c\u200d"  # Persian and Kurdish words and some emoji are spelt with them
_LONGEST = 150
_ATTR_CHAR = "!#$&+-.^_`|~"


@cache
def _static(name: str) -> tuple[bytes, str]:
    content = (files("tabur.web") / "static" / name).read_bytes()
    return content, sha256(content).hexdigest()[:24]
