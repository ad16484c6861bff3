"""Writes constraints.txt: one exact version for everything the repository installs.

Run it with the oldest Python we support, so that the pins install on the newer ones too:
`.venv/bin/python scripts/pin.py`. Versions only: where they come from is the installer's setting.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUR_OWN = {"tabur", "backoffice"}
BUILD = ["hatchling", "editables"]  # installed beforehand, so that a build fetches nothing
HEADER = "# Exact versions of everything `make` installs. Made by scripts/pin.py; do not edit.\n"


def resolve() -> dict[str, str]:
    """Every distribution pip would install into an empty environment, with its version."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = ["install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
        packages = [*BUILD, "-e", ".[dev]", "-e", "./backoffice[samples]"]
        subprocess.run([sys.executable, "-m", "pip", *command, *packages], cwd=ROOT, check=True)
        installed = json.loads(report.read_text())["install"]
    versions = {item["metadata"]["name"]: item["metadata"]["version"] for item in installed}
    return {name: versions[name] for name in sorted(versions, key=str.lower)}


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in resolve().items() if name not in OUR_OWN]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))
