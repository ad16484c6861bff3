"""Importing a list: what is accepted, what is rejected and why, at once or queued."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from backoffice.integrations import tables
from backoffice.modules.products.service import Products
from tabur import State
from tests.backoffice.conftest import SAMPLES
from tests.backoffice.helpers import JSON, Shop, csv_file, many, xlsx_file

ARABIC = ("رمز المنتج", "الاسم", "السعر")


@pytest.fixture(autouse=True)
def _no_real_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_fewer_than_50_rows_are_imported_inside_the_request(shop: Shop) -> None:
    answer = shop.upload(csv_file(many(49)))

    assert answer.status_code == 201
    assert answer.json()["data"]["state"] == "completed"
    assert answer.json()["data"]["imported"] == 49
    assert shop.count_products() == 49
    assert "Nothing new" in shop.client.get("/notifications").text, "its owner saw it happen"


def test_from_50_rows_on_an_import_is_queued(shop: Shop) -> None:
    answer = shop.upload(csv_file(many(50)))

    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "1"
    assert shop.count_products() == 0
    status = shop.client.get(answer.headers["location"]).json()
    assert status["status"] == "pending"
    assert status == shop.client.get(answer.json()["data"]["check_url"]).json()


def test_a_browser_is_sent_to_the_page_with_the_bar(shop: Shop) -> None:
    answer = shop.upload(csv_file(many(60)), browser=True)

    assert answer.status_code == 303
    page = shop.client.get(answer.headers["location"]).text
    assert re.search(r'<job-progress src="/api/jobs/[0-9a-f-]{36}"', page)


def test_the_import_and_its_job_are_one_transaction(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(Exception):
        pass

    dispatch = Products._dispatch

    def cut_after_dispatch(*args: object) -> str:
        dispatch(*args)  # type: ignore[arg-type]  # passed on
        raise PowerCut

    monkeypatch.setattr(Products, "_dispatch", cut_after_dispatch)
    with pytest.raises(PowerCut):
        shop.upload(csv_file(many(60)))

    assert "Nothing was imported yet" in shop.client.get("/imports").text
    with shop.backoffice.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1256"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [("SKU", "Name", "Price"), ARABIC])
@pytest.mark.parametrize("count", [3, 60])
def test_encodings_separators_and_languages_of_the_header(
    shop: Shop, encoding: str, delimiter: str, header: tuple[str, ...], count: int
) -> None:
    rows = [(f"ر{n}", f"شاي أسود {n}", str(1000 + n)) for n in range(count)]

    work = shop.imported(csv_file(rows, header, delimiter=delimiter, encoding=encoding))

    assert (work["imported"], work["rejected"], work["rows"]) == (count, 0, count)
    assert "شاي أسود 0" in shop.client.get("/products").text


def test_cp1256_is_found_even_where_the_first_arabic_word_comes_late(shop: Shop) -> None:
    rows = [*many(5_000), ("LAST", "قهوة", "5")]

    assert shop.imported(csv_file(rows, encoding="cp1256"))["imported"] == 5_001
    assert "قهوة" in shop.client.get("/products?q=LAST").text


@pytest.mark.parametrize(
    ("content", "imported"),
    [
        pytest.param(b"sep=;\r\nsku;name;price\r\nA1;Tea;5\r\n", 1, id="Excel's separator line"),
        pytest.param(b"sku,name,price\rA1,Tea,5\rA2,Tea,6\r", 2, id="lines of an old Mac"),
        pytest.param(b"sku,name,price\nA1,Tea,5", 1, id="no line end at the end"),
        pytest.param(b"\n\nsku,name,price\n\n,,\nA1,Tea,5\n\n", 1, id="blank rows"),
        pytest.param(b'sku,name,price\nA1,"Tea,\nloose",5\nA2,T,5\n', 2, id="a line break inside"),
        pytest.param(b'price , SKU,"Name"\n5,A1,Tea\n', 1, id="any order, spaces around"),
        pytest.param(b"UNIT_PRICE,Item-Code,PRODUCT NAME\n5,A1,Tea\n", 1, id="other names"),
        pytest.param(b"sku,name,price,,\nA1,Tea,5,,\n", 1, id="empty columns at the end"),
        pytest.param(b"sku,colour,name,price\nA1,red,Tea,5\n", 1, id="an unknown column"),
    ],
)
def test_tables_as_people_save_them(shop: Shop, content: bytes, imported: int) -> None:
    work = shop.imported(content)

    assert (work["imported"], work["rejected"]) == (imported, 0)


@pytest.mark.parametrize(
    ("price", "shown"),
    [
        ("1250", "1,250"),
        ("١٢٥٠", "1,250"),
        ("۱۲۵۰", "1,250"),
        ("١٬٢٥٠", "1,250"),
        ('"1,250"', "1,250"),
        ("1 250", "1,250"),
        ("1250.00", "1,250"),
        ('"1.250.000,00"', "1,250,000"),
        ("0", "0"),
    ],
)
def test_prices_as_people_write_them(shop: Shop, price: str, shown: str) -> None:
    shop.imported(csv_file([("A1", "Tea", price)]))

    assert f"<bdi>{shown}</bdi>" in shop.client.get("/products").text


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Price": ""}, "Price: The price is missing."),
        ({"Price": "-5"}, "Price: The price is below zero."),
        ({"Price": "soon"}, "Price: “soon” is not a price."),
        ({"Price": "1e5"}, "Price: “1e5” is not a price."),
        ({"Price": "NaN"}, "Price: “NaN” is not a price."),
        ({"Price": "1250.5"}, "Price: A price in IQD has at most 0 decimals."),
        ({"Price": "9" * 14}, "Price: The price is too large."),
        ({"Currency": "USD"}, "Currency: “USD” is not a currency we know. Use IQD or KES."),
        ({"Currency": "KES", "Price": "1.005"}, "Price: A price in KES has at most 2 decimals."),
        ({"SKU": ""}, "SKU: The SKU is missing."),
        ({"SKU": "x" * 65}, "SKU: Longer than 64 characters."),
        ({"Name": " "}, "Name: The name is missing."),
        ({"Name": "x" * 201}, "Name: Longer than 200 characters."),
        ({"Name": "x" * 2_001}, "Name: The cell is longer than 2000 characters."),
        ({"Name": "Tea\x00"}, "Name: The cell has characters that are no text."),
        ({"Name": "Tea\u202egpj.exe"}, "Name: The cell has characters that are no text."),
        ({"Barcode": "2000000079197"}, "The barcode ends with 7 and should end with 6."),
        ({"Barcode": "20000000791O6"}, "Barcode: A barcode has digits only."),
        ({"Barcode": "123"}, "A barcode has 8, 12, 13 or 14 digits; this one has 3."),
        ({"Unit": "pallet"}, "Unit: “pallet” is not a unit we know."),
        ({"Stock": "-1"}, "Stock: The quantity is below zero."),
        ({"Stock": "many"}, "Stock: “many” is not a quantity."),
        ({"Stock": "1.2345"}, "Stock: “1.2345” is not a quantity."),
    ],
)
def test_a_wrong_row_is_rejected_with_its_reason(
    shop: Shop, cells: dict[str, str], reason: str
) -> None:
    right = {
        "SKU": "A1",
        "Name": "Tea",
        "Barcode": "2000000079196",
        "Price": "1250",
        "Currency": "IQD",
        "Unit": "box",
        "Stock": "4",
    }
    rows = [list((right | cells).values()), list((right | {"SKU": "A2"}).values())]

    work = shop.imported(csv_file(rows, tuple(right)))

    assert (work["imported"], work["rejected"]) == (1, 1)
    assert reason in "".join(shop.rejected(work["import_id"]))


def test_every_reason_against_a_row_is_told(shop: Shop) -> None:
    work = shop.imported(csv_file([("", "", "x")]))

    [_, line] = shop.rejected(work["import_id"])
    for reason in ("The SKU is missing.", "The name is missing.", "“x” is not a price."):
        assert reason in line


def test_of_two_rows_with_one_sku_the_first_is_taken_and_the_later_told_of(shop: Shop) -> None:
    rows = [("A1", "First", "5"), *many(600, prefix="B"), ("A1", "Later", "6")]

    work = shop.imported(csv_file(rows))

    assert (work["imported"], work["rejected"]) == (601, 1)
    assert "Row 2 has the same SKU" in "".join(shop.rejected(work["import_id"]))
    assert "First" in shop.client.get("/products?q=A1").text


def test_a_known_sku_is_updated_and_what_the_file_does_not_say_stays(shop: Shop) -> None:
    shop.imported(csv_file([("A1", "Tea", "5", "40")], ("sku", "name", "price", "stock")))

    work = shop.imported(csv_file([("A1", "Green tea", "6"), ("A2", "Oil", "7")]))

    assert (work["imported"], work["updated"]) == (1, 1)
    page = shop.client.get("/products?q=A1").text
    assert "Green tea" in page
    assert "<bdi>40</bdi>" in page


def test_a_currency_that_is_not_said_is_the_shops_own(shop: Shop, other_shop: Shop) -> None:
    shop.imported(csv_file([("A1", "Tea", "5")]))
    other_shop.imported(csv_file([("A1", "Tea", "5.50")]))

    assert 'class="unit">IQD' in shop.client.get("/products").text
    assert 'class="unit">KES' in other_shop.client.get("/products").text


def test_excel_numbers_come_as_their_owner_typed_them(shop: Shop) -> None:
    header = ("SKU", "Name", "Price", "Barcode", "Stock", "Currency")
    rows: list[tuple[object, ...]] = [
        (1001, "Number SKU", 19999, 2000000079196, 3, "IQD"),
        ("007", "Text SKU", 0.1 + 0.2, "", 1.5, "KES"),
        ("B", "حليب", "١٢٥٠", "2000000079196", "", "IQD"),
    ]

    work = shop.imported(xlsx_file(rows, header), "prices.xlsx")

    assert (work["imported"], work["rejected"]) == (3, 0)
    page = shop.client.get("/products").text
    for shown in ("1001", "007", "19,999", "0.30", "2000000079196", "1,250", "1.5"):
        assert f"<bdi>{shown}</bdi>" in page, shown


def test_excel_of_many_rows_is_queued_and_its_rows_are_numbered_as_excel_does(shop: Shop) -> None:
    rows: list[tuple[object, ...]] = [*many(80), (), ("X", "No price", "")]

    work = shop.imported(xlsx_file(rows), "prices.xlsx")

    assert (work["imported"], work["rejected"], work["rows"]) == (80, 1, 81)
    assert shop.rejected(work["import_id"])[1].startswith("83,")


def test_a_large_workbook_is_not_opened_in_the_request(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.integrations.workbooks._LOOK_BELOW", 1_000)

    answer = shop.upload(xlsx_file(many(70)), "prices.xlsx")
    shop.run(1)

    assert answer.status_code == 202
    work = shop.client.get("/imports/1", headers=JSON).json()
    assert (work["imported"], work["total"]) == (70, 70)


@pytest.mark.parametrize(
    ("name", "rows", "wrong"),
    [("products-20.csv", 20, 1), ("products-2000.csv", 2000, 19), ("products-2000.xlsx", 2000, 19)],
)
def test_the_samples_have_the_wrong_rows_that_their_script_says(
    shop: Shop, name: str, rows: int, wrong: int
) -> None:
    work = shop.imported((SAMPLES / name).read_bytes(), name)

    counts = (work["rows"], work["imported"], work["updated"], work["rejected"])
    assert counts == (rows, rows - wrong, 0, wrong)
    lines = list(csv.reader(io.StringIO("\n".join(shop.rejected(work["import_id"])))))
    if name.startswith("products-2000"):
        numbers = [int(line[0]) for line in lines[1:]]
        assert numbers == list(range(14, 2001, 110))


def test_the_download_is_the_rows_as_they_were_to_correct_and_send_again(shop: Shop) -> None:
    rows = [("A1", "=1+1", "x"), ("A2", "-5", "y"), ("@A3", "+tea", "-7"), *many(60, prefix="B")]
    work = shop.imported(csv_file(rows, delimiter=";"))

    raw = shop.client.get(f"/imports/{work['import_id']}/rejected.csv").content
    assert raw.startswith(b"\xef\xbb\xbf"), "spreadsheets need the mark to read Arabic"
    lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";"))

    assert lines[0] == ["Row in the file", "Reason", "SKU", "Name", "Price"]
    assert lines[1][2:] == ["A1", "'=1+1", "x"], "no spreadsheet takes it for a formula"
    assert lines[2][2:] == ["A2", "-5", "y"], "a number may have a sign"
    assert lines[3][2:] == ["'@A3", "'+tea", "-7"]

    corrected = raw.decode("utf-8-sig").replace(";x\r", ";1\r").replace(";y\r", ";2\r")
    again = shop.imported(corrected.replace(";-7\r", ";3\r").encode())
    assert (again["imported"], again["rejected"]) == (3, 0)
    page = shop.client.get("/products?q=1%2B1").text
    assert "<bdi>=1+1</bdi>" in page, "the apostrophe is gone again"


def test_reasons_are_in_the_language_of_who_downloads_them(shop: Shop) -> None:
    work = shop.imported(csv_file([("A1", "شاي", "")]))

    shop.client.cookies.set("language", "ar")

    assert "السعر: السعر ناقص." in "".join(shop.rejected(work["import_id"]))
    assert "السعر ناقص." in shop.client.get(f"/imports/{work['import_id']}").text


def test_the_same_request_sent_twice_is_one_import(shop: Shop) -> None:
    content = csv_file(many(60))

    first, again = shop.upload(content, key="k-1"), shop.upload(content, key="k-1")

    assert again.status_code == 202
    assert first.headers["location"] == again.headers["location"]
    assert first.headers["link"] == again.headers["link"]
    assert shop.upload(content, key="k-2").headers["link"] != first.headers["link"]


def test_a_key_that_comes_back_with_another_file_is_refused(shop: Shop) -> None:
    shop.upload(csv_file(many(60)), key="k-1")

    assert shop.upload(csv_file(many(61)), key="k-1").status_code == 422


def test_the_same_key_of_two_shops_means_two_imports(shop: Shop, other_shop: Shop) -> None:
    content = csv_file(many(60))

    first, second = shop.upload(content, key="k"), other_shop.upload(content, key="k")

    assert first.headers["location"] != second.headers["location"]


def test_a_finished_import_tells_its_owner_exactly_once(shop: Shop) -> None:
    work = shop.imported(csv_file([*many(60), ("X", "y", "")]))
    shop.run(work["import_id"])
    shop.run(work["import_id"])

    page = shop.client.get("/notifications").text
    assert page.count('class="unread"') == 1
    assert "<bdi>1</bdi> unread" in page
    shop.client.post("/notifications/read", data={"csrf_token": shop.csrf("/notifications")})
    assert 'class="unread"' not in shop.client.get("/notifications").text


def test_a_file_that_turns_out_unreadable_fails_with_words_for_its_owner(shop: Shop) -> None:
    shop.upload(csv_file(many(60)))
    [stored] = (shop.backoffice.settings.uploads / "1").iterdir()
    stored.unlink()

    with pytest.raises(FileNotFoundError):
        shop.run(1)
    shop.backoffice.products._importer.give_up(1)

    page = shop.client.get("/imports/1").text
    assert "Upload the same file again" in page
    assert "FileNotFound" not in page
    assert "could not be imported" in shop.client.get("/notifications").text


def test_an_import_called_back_before_it_began_is_shown_as_cancelled(shop: Shop) -> None:
    answer = shop.upload(csv_file(many(60)))
    data = {"csrf_token": shop.csrf("/imports/1")}

    assert shop.client.post("/imports/1/cancel", data=data).status_code == 303

    assert "What was imported until then stays" in shop.client.get("/imports/1").text
    status = shop.client.get(answer.headers["location"]).json()
    assert status["status"] == State.CANCELLED


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", b"", "empty", "The file is empty"),
        ("a.csv", b" \r\n \r\n", "empty", "The file is empty"),
        ("a.csv", b"sku,name,price\r\n", "no_rows", "no products below it"),
        ("a.csv", b"sku,name,price\r\n,,\r\n\r\n", "no_rows", "no products below it"),
        ("a.csv", b"sku,name\r\nA1,Tea\r\n", "missing_columns", "The header row lacks: Price."),
        ("a.csv", b"A1,Tea,5\r\nA2,Oil,6\r\n", "missing_columns", "SKU, Name, Price"),
        ("a.csv", b"sku,name,price,Selling Price\nA,b,1,2\n", "column_twice", "Selling Price"),
        ("a.csv", bytes(range(256)) * 40, "not_a_table", "not a CSV or Excel file"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(600), "not_a_table", "not a CSV or Excel file"),
        ("a.csv", "sku,name,price\nA,b,1\n".encode("utf-16"), "utf16", "UTF-16"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old_excel", "old format"),
        ("a.xlsx", b"PK\x03\x04" + bytes(600), "broken_excel", "cannot be read"),
        ("a.csv", b"x" * 300 + b",name\n1,2\n", "cell_too_long", "too long to be the name"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_with_what_to_do(
    shop: Shop, name: str, content: bytes, code: str, words: str
) -> None:
    answer = shop.upload(content, name)
    page = shop.upload(content, name, browser=True)

    assert (answer.status_code, answer.json()["error"]) == (400, code)
    assert words in answer.json()["message"]
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    assert "Nothing was imported yet" in page.text
    uploads = shop.backoffice.settings.uploads / "1"
    assert list(uploads.iterdir()) == [], "and nothing of it is kept"


def test_a_refusal_is_told_in_arabic_too(shop: Shop) -> None:
    shop.client.cookies.set("language", "ar")

    answer = shop.upload(b"sku\nA1\n")

    assert "ينقص صف العناوين: الاسم، السعر." in answer.json()["message"]


def test_no_file_at_all_is_refused(shop: Shop) -> None:
    answer = shop.client.post("/imports", data={"csrf_token": shop.csrf("/imports")}, headers=JSON)

    assert answer.json()["error"] == "no_file"


def test_numbers_that_may_be_read_two_ways_are_no_numbers() -> None:
    from backoffice.modules.products.rules import parse_number

    for text in ("1.2.3", "1,2,3", "1,25,000", "12,345,6", "--1", "1-", "", "٫", "½", "1/2", "inf"):
        assert parse_number(text) is None, text


def test_the_guard_against_formulas_is_undone_by_its_inverse() -> None:
    for text in ("=1", "+tea", "-x", "@a", "\tb", "plain", "-5", "+5.5", "", "'quoted", "'=x"):
        assert tables.unguarded(tables.guarded(text)) == text or text == "'=x"


def test_the_uploads_of_two_shops_lie_apart(shop: Shop, other_shop: Shop) -> None:
    content = csv_file(many(60))
    shop.upload(content)
    other_shop.upload(content)

    folders = sorted(shop.backoffice.settings.uploads.iterdir())
    assert [folder.name for folder in folders] == ["1", "2"]
    assert [len(list(Path(folder).iterdir())) for folder in folders] == [1, 1]
