"""Attachments: the right file under a safe name, and nothing else on the disk."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from tabur import FunctionJob
from tabur.web.files import content_disposition
from tests.web.support import Hand

Import = FunctionJob[[int], None]


def test_the_owner_downloads_the_file(client: TestClient, acme: Import, hand: Hand) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.attach(handle, b"row,reason\n3,no price\n", name="مرفوضة.csv")

    answer = client.get(f"/api/jobs/{handle.id}/attachments/1")

    assert answer.status_code == 200
    assert answer.content == b"row,reason\n3,no price\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment; filename=\"______.csv\"; filename*=UTF-8''")
    assert unquote(disposition.rpartition("''")[2]) == "مرفوضة.csv"
    assert client.get(f"/api/jobs/{handle.id}/attachments/2").status_code == 404


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\win.ini", "win.ini"),
        ('a"; filename="evil.exe', 'a"; filename="evil.exe'),
        ("a\r\nSet-Cookie: x=1\r\n.csv", "aSet-Cookie: x=1.csv"),
        ("price\u202evsc.exe", "pricevsc.exe"),  # would be shown as priceexe.csv
        ("...", "attachment-1"),
        ("", "attachment-1"),
        ("a" * 400 + ".csv", "a" * 146 + ".csv"),
        ("\ud800.csv", "csv"),
        ("تقرير 2026.pdf", "تقرير 2026.pdf"),
        ("می\u200cخواهم.csv", "می\u200cخواهم.csv"),
    ],
)
def test_any_name_makes_a_header_that_says_one_file_name(name: str, clean: str) -> None:
    header = content_disposition(name, "attachment-1")

    header.encode("ascii")
    assert "\r" not in header
    assert "\n" not in header
    plain, extended = header.removeprefix('attachment; filename="').split("\"; filename*=UTF-8''")
    assert not set(plain) & set('"\\/;%')
    assert not set(extended) & set("\"\\/;' ")
    assert unquote(extended) == clean


@pytest.mark.parametrize(
    "path", ["../secret.txt", "/etc/passwd", "x/../../secret.txt", "link.txt", "nul\0", "gone", "."]
)
def test_nothing_outside_the_folder_is_sent_whatever_the_record_says(
    client: TestClient, acme: Import, hand: Hand, tmp_path: Path, path: str
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    root = hand.jobs.attachment_path("")
    root.mkdir(parents=True)
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.attach(handle, b"", name="a.txt", path=path)

    answer = client.get(f"/api/jobs/{handle.id}/attachments/1")

    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize("media_type", ["text/html\r\nX: y", "nonsense", "", "text/é"])
def test_a_media_type_that_is_none_becomes_bytes(
    client: TestClient, acme: Import, hand: Hand, media_type: str
) -> None:
    handle = acme.dispatch(1)
    hand.claim(handle)
    hand.attach(handle, b"<script>", name="a.html", media_type=media_type)

    answer = client.get(f"/api/jobs/{handle.id}/attachments/1")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_component_is_served_with_its_style_and_nothing_else(nobody: TestClient) -> None:
    module = nobody.get("/api/jobs/static/job-progress.js")
    style = nobody.get("/api/jobs/static/job-progress.css")
    again = nobody.get(
        "/api/jobs/static/job-progress.js", headers={"If-None-Match": module.headers["etag"]}
    )

    assert module.headers["content-type"].startswith("text/javascript")
    assert "customElements.define" in module.text
    assert style.headers["content-type"].startswith("text/css")
    assert again.status_code == 304
    for name in ("x.js", "..%2fstatus.py", "job-progress.js%00", "__init__.py"):
        assert nobody.get(f"/api/jobs/static/{name}").status_code == 404
