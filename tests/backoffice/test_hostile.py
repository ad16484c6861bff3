"""Files made to hurt: bombs, formulas, junk. Each ends in a word to its owner."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backoffice.http.app import create_app
from backoffice.integrations.workbooks import BrokenWorkbook, Workbook, WorkbookTooLarge
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.wiring import BackOffice, build
from tests.backoffice.conftest import make_settings
from tests.backoffice.helpers import Shop, csv_file, many, xlsx_file

MIB = 1024 * 1024


@pytest.fixture
def small(tmp_path: Path, provisioned: Path) -> Iterator[Callable[..., Shop]]:
    """A shop with limits of its own: `small(max_rows=100)`."""
    made: list[BackOffice] = []

    def shop(**limits: int) -> Shop:
        (tmp_path / "backoffice.sqlite3").write_bytes(provisioned.read_bytes())
        backoffice = build(make_settings(tmp_path, **limits))
        made.append(backoffice)
        found = Shop(TestClient(create_app(backoffice), follow_redirects=False), backoffice)
        found.enter(DEMO_ACCOUNTS[0])
        return found

    yield shop
    for each in made:
        each.close()


def _workbook(tmp_path: Path, *, sheet: bytes, shared: bytes = b"", zeros: int = 0) -> Path:
    """A workbook with a sheet of our own making."""
    source = zipfile.ZipFile(io.BytesIO(xlsx_file([("A1", "Tea", 5)])))
    path = tmp_path / "made.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for member in source.infolist():
            content = source.read(member)
            if member.filename == "xl/worksheets/sheet1.xml":
                content = sheet
            if member.filename == "xl/sharedStrings.xml" and shared:
                content = shared
            made.writestr(member.filename, content)
        if zeros:
            made.writestr("xl/media/image1.bin", bytes(zeros))
    return path


def _sheet(rows: bytes) -> bytes:
    return (
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        b"<sheetData>" + rows + b"</sheetData></worksheet>"
    )


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(shop: Shop, tmp_path: Path) -> None:
    bomb = _workbook(tmp_path, sheet=_sheet(b""), zeros=600 * MIB)
    content = bomb.read_bytes()
    assert len(content) < MIB

    tracemalloc.start()
    answer = shop.upload(content, "bomb.xlsx")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (answer.status_code, answer.json()["error"]) == (400, "workbook_too_large")
    assert peak < 20 * MIB


def test_a_bomb_that_lies_about_its_size_is_found_while_unpacking(tmp_path: Path) -> None:
    path = _workbook(tmp_path, sheet=_sheet(b" " * (80 * MIB)))
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        told = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    truth, lie = struct.pack("<I", told), struct.pack("<I", 1_000)
    path.write_bytes(bytes(raw).replace(truth, lie))

    with pytest.raises((WorkbookTooLarge, BrokenWorkbook)):
        Workbook(path)


def test_two_cells_in_opposite_corners_are_not_a_sheet_of_17_billion(tmp_path: Path) -> None:
    corners = (
        b'<row r="1"><c r="A1"><v>1</v></c></row>'
        b'<row r="1048576"><c s="0" r="XFD1048576"><v>1</v></c></row>'
    )

    with pytest.raises(WorkbookTooLarge):
        Workbook(_workbook(tmp_path, sheet=_sheet(corners)))


def test_one_long_text_in_a_million_cells_is_not_unpacked_a_million_times(tmp_path: Path) -> None:
    long = b"<si><t>" + b"x" * 30_000 + b"</t></si>"
    shared = (
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        + long
        + b"</sst>"
    )
    cells = b"".join(
        b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, 60_001)
    )

    with pytest.raises(WorkbookTooLarge):
        Workbook(_workbook(tmp_path, sheet=_sheet(cells), shared=shared))


def test_a_long_text_in_a_few_cells_is_fine(tmp_path: Path) -> None:
    rows = [("A1", "x" * 30_000, 5), *[(f"B{n}", "Tea", n) for n in range(40_000)]]
    path = tmp_path / "long.xlsx"
    path.write_bytes(xlsx_file(rows))

    assert Workbook(path).height == 40_002


@pytest.mark.parametrize("cut", [30, 400, 3_000])
def test_a_workbook_cut_short_is_refused(shop: Shop, cut: int) -> None:
    answer = shop.upload(xlsx_file(many(200))[:cut], "cut.xlsx")

    assert (answer.status_code, answer.json()["error"]) == (400, "broken_excel")


def test_a_zip_that_is_no_workbook_is_refused(shop: Shop) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../etc/passwd", "x")

    answer = shop.upload(packed.getvalue(), "x.xlsx")

    assert answer.json()["error"] == "broken_excel"


def test_entities_of_an_xml_bomb_are_not_expanded(shop: Shop, tmp_path: Path) -> None:
    entities = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">' + entities + b"]>"
    sheet = bomb + _sheet(b'<row r="1"><c r="A1" t="str"><v>&l11;</v></c></row>')

    answer = shop.upload(_workbook(tmp_path, sheet=sheet).read_bytes(), "lol.xlsx")

    assert answer.status_code == 400


def test_a_cell_of_ten_megabytes_rejects_its_row_and_no_other(shop: Shop) -> None:
    rows = [("A1", "x" * (10 * MIB), "5"), ("A2", "Tea", "5")]

    work = shop.imported(csv_file(rows))

    assert (work["imported"], work["rejected"]) == (1, 1)
    assert "cannot be split into columns" in "".join(shop.rejected(work["import_id"]))


def test_a_quotation_mark_that_is_never_closed_costs_rows_and_no_memory(shop: Shop) -> None:
    content = csv_file(many(100)) + b'Q1,"open,5\r\n' + csv_file(many(20_000, prefix="Q"))

    work = shop.imported(content)

    assert work["imported"] >= 100
    assert work["rejected"] >= 1
    assert work["state"] == "completed"


def test_nul_bytes_reject_their_row(shop: Shop) -> None:
    work = shop.imported(csv_file([("A1", "T\x00ea", "5"), ("A\x002", "Tea", "5"), *many(60)]))

    assert (work["imported"], work["rejected"]) == (60, 2)
    assert "\x00" not in "".join(shop.rejected(work["import_id"]))


def test_a_file_above_the_limit_is_refused_in_both_languages(small: Callable[..., Shop]) -> None:
    shop = small(max_upload_bytes=MIB)
    content = csv_file([("A", "x" * 1_000, "5")] * 1_200)

    answer = shop.upload(content)
    page = shop.upload(content, browser=True)
    shop.client.cookies.set("language", "ar")
    arabic = shop.upload(content, browser=True)

    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert page.status_code == arabic.status_code == 413
    assert "larger than <bdi>1</bdi> MB" in page.text
    assert "الملف أكبر من <bdi>1</bdi> ميغابايت" in arabic.text
    assert list((shop.backoffice.settings.uploads / "1").iterdir()) == []


@pytest.mark.parametrize("path", ["/imports", "/sign-in", "/language"])
def test_a_body_above_the_limit_is_dropped_while_it_comes(
    small: Callable[..., Shop], path: str
) -> None:
    shop = small(max_upload_bytes=MIB)

    def body() -> Iterator[bytes]:
        for _ in range(5):
            yield b"x" * MIB

    for headers in (
        {"Content-Type": "multipart/form-data; boundary=b"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        answer = shop.client.post(path, content=body(), headers=headers)
        assert answer.status_code == 413
        assert "Files may have up to 1 MB" in answer.text


def test_more_rows_than_allowed_are_refused_at_the_door(small: Callable[..., Shop]) -> None:
    shop = small(max_rows=100)

    answer = shop.upload(csv_file(many(101)))

    assert answer.json()["error"] == "too_many_rows"
    assert "more than 100 rows" in answer.json()["message"]


def test_more_rows_than_allowed_in_a_workbook_fail_its_import(
    small: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.integrations.workbooks._LOOK_BELOW", 1_000)
    shop = small(max_rows=100)
    shop.upload(xlsx_file(many(120)), "many.xlsx")

    with pytest.raises(Exception, match="too_many_rows"):
        shop.run(1)
    shop.backoffice.products._importer.give_up(1)

    page = shop.client.get("/imports/1").text
    assert "more than <bdi>100</bdi> rows" in page


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\قائمة.csv", "قائمة.csv"),
        ("a\r\nSet-Cookie: x.csv", "a%0D%0ASet-Cookie: x.csv"),
        ("=cmd.csv", "=cmd.csv"),
        ("x" * 300 + ".csv", "x" * 200),
    ],
)
def test_names_of_files_are_only_shown(shop: Shop, name: str, shown: str) -> None:
    work = shop.imported(csv_file([("A1", "Tea", "5")]), name)

    assert work["file_name"] == shown
    [stored] = (shop.backoffice.settings.uploads / "1").iterdir()
    assert len(stored.name) == 64


@pytest.mark.parametrize("key", ["", " ", "a b", "ط", "x" * 256])
def test_a_key_that_is_no_key_is_refused(shop: Shop, key: str) -> None:
    answer = shop.client.post(
        "/imports",
        data={"csrf_token": shop.token},
        files={"file": ("a.csv", csv_file(many(3)))},
        headers={b"Idempotency-Key": key.encode(), b"Accept": b"application/json"},
    )

    assert answer.status_code == 400
