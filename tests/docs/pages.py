"""The pages of the documentation and what stands in them: blocks of code, headings, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Block:
    """A fenced block; one inside an HTML comment is run as well, and only readers do not see it."""

    language: str
    title: str | None
    """The file that a reader is to write it to."""
    code: str
    line: int
    """The line of its first line of code, from 1."""


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["info"])
        found.append(
            Block(
                language=match["language"],
                title=title["title"] if title else None,
                code=match["code"],
                line=text.count("\n", 0, match.start("code")) + 1,
            )
        )
    return found


def prose(page: Path) -> str:
    """The page without its code."""
    return _INLINE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))


def links(page: Path) -> list[str]:
    """Targets of links and sources of images."""
    text = prose(page)
    return [
        *(match["target"] for match in _LINK.finditer(text)),
        *(match["target"] for match in _SOURCE.finditer(text)),
    ]


def anchors(page: Path) -> set[str]:
    """What `#…` may name, as GitHub makes it from headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    slugs: dict[str, int] = {}
    found = set()
    for match in _HEADING.finditer(text):
        heading = _LINK.sub(lambda link: link["text"], match["text"]).lower()
        slug = re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-")
        seen = slugs.get(slug, 0)
        slugs[slug] = seen + 1
        found.add(f"{slug}-{seen}" if seen else slug)
    return found


_FENCE = re.compile(
    r"^```(?P<language>\w*)(?P<info>[^\n`]*)\n(?P<code>.*?)^```\s*$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="(?P<title>[^"]+)"')
_INLINE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)[^)]*\)")
_SOURCE = re.compile(r'\b(?:src|srcset|href)="(?P<target>[^"]+)"')
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *#*$", re.MULTILINE)
