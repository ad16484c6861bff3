"""The page that docs/getting-started.md builds, served and worked as its reader would."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks
from tests.docs.run_page import write
from tests.docs.test_examples import environment

PAGE = ROOT / "docs" / "getting-started.md"


class Site:
    """What the reader has open in two terminals."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._start("tabur", "migrate").wait(30)
        self._start("uvicorn", "main:app", "--port", str(port), "--log-level", "warning")
        self._start("tabur", "queue:work")

    def get(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(self.address + path, method=method)  # noqa: S310  # our own
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # our own
            body = answer.read().decode()
            is_json = answer.headers.get_content_type() == "application/json"
            return json.loads(body) if is_json else body

    def close(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.wait(30)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self._folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
        )
        self._started.append(process)
        return process


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.chdir(tmp_path)
    for block in blocks(PAGE):
        if block.title is not None:
            write(block)
    site = Site(tmp_path)
    yield site
    site.close()


@pytest.mark.timeout(120)
def test_from_the_button_to_the_file(site: Site) -> None:
    assert "<job-progress" not in until(lambda: site.get("/"))

    check_url = site.get("/reports?month=2026-10", "POST")["data"]["check_url"]

    seen: list[dict[str, Any]] = []

    def finished() -> bool:
        seen.append(site.get(check_url))
        return seen[-1]["status"] not in ("pending", "processing")

    until(finished)
    assert seen[-1]["status"] == "completed"
    assert (seen[-1]["done"], seen[-1]["total"], seen[-1]["unit"]) == (31, 31, "days")
    assert any(0 < each["progress"] < 100 for each in seen if each["progress"] is not None)
    assert site.get(seen[-1]["result_url"]).splitlines()[:2] == ["day;orders", "2026-10-01;3"]


def until(ask: Any) -> Any:
    """Ask until there is an answer, for a minute at most."""
    end = time.monotonic() + 60
    while True:
        try:
            if answer := ask():
                return answer
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
        assert time.monotonic() < end
        time.sleep(0.2)
