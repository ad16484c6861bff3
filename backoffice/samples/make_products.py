"""Makes product lists as a shop would have them: the same list for the same options, always.

    python backoffice/samples/make_products.py --rows 2000 --out products-2000.csv
    python backoffice/samples/make_products.py --rows 200000 --out big.csv
    python backoffice/samples/make_products.py --rows 2000 --out products-2000.xlsx --format xlsx

Groceries, hardware and pharmacy, named in English and Arabic; EAN-13 barcodes of the range that
shops number themselves, with valid check digits (one product in nine has none); prices in IQD
(whole) and KES (two decimals); units in either language.

Wrong on purpose is the 13th row and every 110th after it, each in the next of 19 ways (`MISTAKES`),
so a list of 2,000 rows has 19 wrong rows, one of each kind, and 1,981 that are right; a list of 20
has one (no price). `expected_rejected(rows)` says how many for any other number.

`--style arab` writes the file as Arabic Excel would: headers in Arabic, semicolons between columns.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

SEED = 20261122
FIRST_WRONG, WRONG_EVERY = 12, 110

HEADER = ("SKU", "Name", "Arabic name", "Barcode", "Price", "Currency", "Unit", "Stock")
ARABIC_HEADER = (
    "رمز المنتج", "الاسم", "الاسم العربي", "الباركود", "السعر", "العملة", "الوحدة", "الكمية",
)  # fmt: skip

#: What is wrong, in the order in which it comes; the reason the import gives for it.
MISTAKES = (
    "price_missing",
    "price_negative",
    "price_not_a_number",
    "barcode_check_digit",
    "barcode_not_digits",
    "barcode_length",
    "sku_missing",
    "sku_twice",
    "name_missing",
    "text_too_long",  # a name of 230 characters
    "unit_unknown",
    "currency_unknown",
    "price_decimals",  # half a dinar
    "price_decimals",  # a tenth of a cent
    "stock_negative",
    "stock_not_a_number",
    "text_too_long",  # an SKU of 70 characters
    "row_too_wide",  # a stray column
    "price_too_large",
)

#: (department, English, Arabic, price in hundredths of a US dollar, units)
GOODS = (
    ("GR", "Basmati rice", "رز بسمتي", 240, ("kg", "كيلو", "bag")),
    ("GR", "Black tea", "شاي أسود", 310, ("box", "علبة", "pack")),
    ("GR", "Cardamom tea", "شاي بالهيل", 350, ("box", "علبة")),
    ("GR", "White sugar", "سكر أبيض", 110, ("kg", "كيلو")),
    ("GR", "Sunflower oil", "زيت دوار الشمس", 280, ("bottle", "قنينة", "لتر")),
    ("GR", "Olive oil", "زيت زيتون", 890, ("bottle", "قنينة")),
    ("GR", "Tomato paste", "معجون طماطم", 120, ("piece", "علبة", "carton")),
    ("GR", "Red lentils", "عدس أحمر", 160, ("kg", "كيلو")),
    ("GR", "Chickpeas", "حمص", 150, ("kg", "pack")),
    ("GR", "Maize flour", "طحين ذرة", 130, ("pack", "كيس")),
    ("GR", "Wheat flour", "طحين قمح", 95, ("kg", "كيس")),
    ("GR", "Full cream milk", "حليب كامل الدسم", 140, ("l", "لتر", "bottle")),
    ("GR", "Labneh", "لبنة", 260, ("box", "علبة")),
    ("GR", "White cheese", "جبن أبيض", 420, ("kg", "كيلو")),
    ("GR", "Zahdi dates", "تمر زهدي", 300, ("kg", "كيلو", "carton")),
    ("GR", "Date syrup", "دبس تمر", 340, ("bottle", "قنينة")),
    ("GR", "Tahini", "طحينية", 450, ("bottle", "قنينة")),
    ("GR", "Ground coffee", "قهوة مطحونة", 620, ("pack", "باكيت")),
    ("GR", "Mango juice", "عصير مانجو", 90, ("bottle", "carton")),
    ("GR", "Mineral water", "ماء معدني", 30, ("bottle", "قنينة", "carton")),
    ("GR", "Vermicelli", "شعرية", 85, ("pack", "باكيت")),
    ("GR", "Dish soap", "سائل جلي", 170, ("bottle", "قنينة")),
    ("GR", "Washing powder", "مسحوق غسيل", 480, ("pack", "كيس")),
    ("GR", "Paper tissues", "مناديل ورقية", 75, ("box", "علبة")),
    ("HW", "Claw hammer", "مطرقة", 650, ("piece", "قطعة")),
    ("HW", "Screwdriver set", "طقم مفكات", 900, ("set", "طقم")),
    ("HW", "Adjustable wrench", "مفتاح قابل للتعديل", 780, ("piece", "قطعة")),
    ("HW", "Cordless drill", "دريل لاسلكي", 5400, ("piece", "قطعة")),
    ("HW", "Wood screws", "براغي خشب", 210, ("box", "علبة")),
    ("HW", "Steel nails", "مسامير فولاذ", 180, ("kg", "كيلو")),
    ("HW", "PVC pipe", "أنبوب بي في سي", 320, ("m", "متر")),
    ("HW", "Garden hose", "صوندة ماء", 260, ("m", "متر", "roll")),
    ("HW", "Copper wire", "سلك نحاس", 190, ("m", "متر", "رول")),
    ("HW", "LED bulb", "مصباح ليد", 160, ("piece", "قطعة", "dozen")),
    ("HW", "Extension cord", "وصلة كهرباء", 540, ("piece", "قطعة")),
    ("HW", "Padlock", "قفل", 470, ("piece", "قطعة")),
    ("HW", "Wall paint", "صبغ جدران", 2200, ("l", "علبة")),
    ("HW", "Paint brush", "فرشاة صبغ", 140, ("piece", "قطعة")),
    ("HW", "Masking tape", "شريط لاصق", 110, ("roll", "لفة")),
    ("HW", "Work gloves", "كفوف عمل", 230, ("pair", "زوج")),
    ("HW", "Door hinge", "نرمادة باب", 150, ("pair", "زوج")),
    ("HW", "Silicone sealant", "سيليكون", 290, ("piece", "قطعة")),
    ("PH", "Paracetamol tablets", "حبوب باراسيتامول", 120, ("strip", "شريط", "box")),
    ("PH", "Ibuprofen tablets", "حبوب إيبوبروفين", 180, ("strip", "شريط")),
    ("PH", "Vitamin C", "فيتامين سي", 390, ("box", "علبة")),
    ("PH", "Cough syrup", "شراب سعال", 310, ("bottle", "قنينة")),
    ("PH", "Eye drops", "قطرة عيون", 360, ("bottle", "قنينة")),
    ("PH", "Antiseptic", "مطهر جروح", 220, ("bottle", "مل")),
    ("PH", "Cotton wool", "قطن طبي", 130, ("pack", "باكيت")),
    ("PH", "Elastic bandage", "رباط ضاغط", 170, ("roll", "لفة")),
    ("PH", "Digital thermometer", "محرار رقمي", 640, ("piece", "قطعة")),
    ("PH", "Baby diapers", "حفاضات أطفال", 1150, ("pack", "كيس")),
    ("PH", "Sun cream", "واقي شمس", 980, ("piece", "قطعة")),
    ("PH", "Toothpaste", "معجون أسنان", 240, ("piece", "قطعة", "dozen")),
    ("PH", "Surgical masks", "كمامات طبية", 330, ("box", "علبة")),
)
BRANDS = (
    ("Al Rafidain", "الرافدين"), ("Dijla", "دجلة"), ("Furat", "الفرات"), ("Baraka", "البركة"),
    ("Nakheel", "النخيل"), ("Sahara", "الصحراء"), ("Jameel", "جميل"), ("Kilimani", "كليماني"),
    ("Savanna", "سافانا"), ("Mara", "مارا"), ("Tausi", "طاووس"), ("Zain", "زين"),
)  # fmt: skip
SIZES = (
    ("small", "صغير"), ("medium", "وسط"), ("large", "كبير"), ("250", "٢٥٠"), ("500", "٥٠٠"),
    ("750", "٧٥٠"), ("1000", "١٠٠٠"), ("family size", "حجم عائلي"), ("new", "جديد"),
)  # fmt: skip

Row = list[str]


def expected_rejected(rows: int) -> int:
    """How many of the first `rows` rows are wrong."""
    return max(0, (rows - FIRST_WRONG - 1) // WRONG_EVERY + 1)


def product_rows(rows: int) -> Iterator[Row]:
    """The list, row by row, wrong ones included."""
    before: list[Row] = []
    for index, row in enumerate(islice(_right_rows(), rows)):
        if index % WRONG_EVERY == FIRST_WRONG:
            yield _spoil(row, index // WRONG_EVERY % len(MISTAKES), before[-5])
        else:
            yield row
        before = [*before[-5:], row]


def _right_rows() -> Iterator[Row]:
    chance = random.Random(SEED)
    number = 0
    while True:
        number += 1
        department, english, arabic, cents, units = chance.choice(GOODS)
        brand, brand_ar = chance.choice(BRANDS)
        size, size_ar = chance.choice(SIZES)
        cents = cents * chance.randint(60, 180) // 100
        if chance.random() < 0.7:
            currency, price = "IQD", str(max(1, round(cents * 13.1 / 250)) * 250)
        else:
            ending = chance.choice((0, 0, 50, 99))
            currency, price = "KES", f"{cents * 129 // 100 // 10 * 10 // 10 + 1}.{ending:02}"
        yield [
            f"{department}-{number:06}",
            f"{brand} {english}, {size}",
            f"{arabic} {brand_ar} {size_ar}",
            _ean13(number) if number % 9 else "",
            price,
            currency,
            chance.choice(units),
            str(chance.choice((0, 3, 6, 12, 24, 40, 75, 120))),
        ]


def _ean13(number: int) -> str:
    digits = f"20{number * 7919 % 10**10:010}"
    total = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(digits))
    return f"{digits}{-total % 10}"


def _spoil(right: Row, kind: int, earlier: Row) -> Row:
    sku, name, name_ar, barcode, price, currency, unit, stock = right
    barcode = barcode or _ean13(int(sku[3:]))
    wrong_digit = f"{barcode[:-1]}{(int(barcode[-1]) + 3) % 10}"
    return (
        [sku, name, name_ar, barcode, "", currency, unit, stock],
        [sku, name, name_ar, barcode, f"-{price}", currency, unit, stock],
        [sku, name, name_ar, barcode, "اتصل بنا", currency, unit, stock],
        [sku, name, name_ar, wrong_digit, price, currency, unit, stock],
        [sku, name, name_ar, f"{barcode[:-2]}O{barcode[-1]}", price, currency, unit, stock],
        [sku, name, name_ar, barcode[:11], price, currency, unit, stock],
        ["", name, name_ar, barcode, price, currency, unit, stock],
        [earlier[0], name, name_ar, barcode, price, currency, unit, stock],
        [sku, "", "", barcode, price, currency, unit, stock],
        [sku, f"{name} ".ljust(230, "."), name_ar, barcode, price, currency, unit, stock],
        [sku, name, name_ar, barcode, price, currency, "pallet", stock],
        [sku, name, name_ar, barcode, price, "USD", unit, stock],
        [sku, name, name_ar, barcode, "1250.5", "IQD", unit, stock],
        [sku, name, name_ar, barcode, "99.999", "KES", unit, stock],
        [sku, name, name_ar, barcode, price, currency, unit, "-4"],
        [sku, name, name_ar, barcode, price, currency, unit, "many"],
        [f"{sku}-".ljust(70, "X"), name, name_ar, barcode, price, currency, unit, stock],
        [sku, name, name_ar, barcode, price, currency, unit, stock, "see page 4"],
        [sku, name, name_ar, barcode, "99999999999999", currency, unit, stock],
    )[kind]


def write_csv(rows: int, out: Path, *, arab: bool) -> None:
    # The mark tells Excel that it is UTF-8, as Excel's own "CSV UTF-8" does.
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, delimiter=";" if arab else ",")
        writer.writerow(ARABIC_HEADER if arab else HEADER)
        writer.writerows(product_rows(rows))


def write_xlsx(rows: int, out: Path, *, arab: bool) -> None:
    import xlsxwriter

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties({"created": datetime(2026, 11, 22)})  # noqa: DTZ001 - as Excel has it
        sheet = book.add_worksheet("Products")
        if arab:
            sheet.right_to_left()
        sheet.write_row(0, 0, ARABIC_HEADER if arab else HEADER)
        for number, row in enumerate(product_rows(rows), start=1):
            for column, cell in enumerate(row):
                # Barcode, price and stock are numbers to whoever types them into Excel.
                if column in (3, 4, 7) and cell.lstrip("-").replace(".", "", 1).isdecimal():
                    sheet.write_number(number, column, float(cell))
                elif cell:
                    sheet.write_string(number, column, cell)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", choices=("csv", "xlsx"), default="csv")
    parser.add_argument("--style", choices=("plain", "arab"), default="plain")
    options = parser.parse_args()
    write = write_xlsx if options.format == "xlsx" else write_csv
    write(options.rows, options.out, arab=options.style == "arab")
    wrong = expected_rejected(options.rows)
    sys.stdout.write(f"{options.out}: {options.rows} rows, {wrong} of them wrong on purpose\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
