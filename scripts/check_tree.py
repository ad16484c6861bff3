"""Looks through every committed file for what must not stand in it; one line for each finding."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 2_000_000  # bytes: sample data and pictures are small, everything larger is a mistake
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.~}\])/-])/(?:work|root|home|Users)/\w"),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
    "a debugger call": re.compile(r"^\s*(?:breakpoint\(|import pdb)", re.MULTILINE),
}


def committed() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def findings(path: Path) -> list[str]:
    name = path.relative_to(ROOT)
    if path.stat().st_size > LARGEST:
        return [f"{name}: larger than {LARGEST:,} bytes"]
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return []  # a picture, or sample data in another encoding on purpose
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


if __name__ == "__main__":
    found = [finding for path in committed() for finding in findings(path)]
    print("\n".join(found) or "Nothing forbidden in the tree.")
    sys.exit(bool(found))
