"""Every finding is in the docs, and is made on purpose in a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "doctor.md").read_text("utf-8")
NAMED = sorted(
    {
        name
        for row in PAGE.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"`([a-z-]+)`", row.split("|")[1])
    }
)
SOURCES = [
    *(ROOT / "src" / "tabur" / "operations" / "doctor").glob("*.py"),
    *(ROOT / "src" / "tabur" / "drivers").rglob("*.py"),
    ROOT / "src" / "tabur" / "cli" / "doctor.py",
]
CODE = "\n".join(path.read_text("utf-8") for path in SOURCES)
TESTS = "\n".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))


def test_the_page_names_all_that_the_code_finds() -> None:
    made = re.findall(r'(?:[Ff]inding\(|_refused\(|name: str =)\s*"([a-z]+(?:-[a-z]+)+)"', CODE)
    assert set(made) <= set(NAMED), sorted(set(made) - set(NAMED))
    assert len(NAMED) > 35


@pytest.mark.parametrize("name", NAMED)
def test_each_is_known_to_the_code_and_made_in_a_test(name: str) -> None:
    assert f'"{name}"' in CODE
    assert f'"{name}"' in TESTS
