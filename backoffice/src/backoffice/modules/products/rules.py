"""What a product is, as rules: no database, no web. One row of a list in, a product or reasons out.

Of two rows with the same SKU in one file the first wins and the later one is rejected: the owner
sees both in his file and says which is right; silently taking the last price would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from backoffice.integrations.tables import unguarded
from backoffice.kernel.text import has_controls, latin_digits, search_key

#: Currencies and the decimals a price in them may have.
CURRENCIES: Mapping[str, int] = {"IQD": 0, "KES": 2}

#: Units and what people write for them.
UNITS: Mapping[str, tuple[str, ...]] = {
    "piece": ("piece", "pieces", "pc", "pcs", "pce", "each", "ea", "unit", "قطعة", "حبة", "عدد"),
    "pack": ("pack", "packs", "packet", "pkt", "باكيت", "عبوة", "كيس", "bag", "bags"),
    "box": ("box", "boxes", "bx", "علبة", "صندوق"),
    "carton": ("carton", "cartons", "ctn", "case", "كرتون", "كارتون"),
    "bottle": ("bottle", "bottles", "btl", "قنينة", "زجاجة", "بطل"),
    "dozen": ("dozen", "dozens", "doz", "dz", "درزن", "دزينة"),
    "pair": ("pair", "pairs", "pr", "زوج"),
    "roll": ("roll", "rolls", "رول", "لفة"),
    "set": ("set", "sets", "طقم", "سيت"),
    "strip": ("strip", "strips", "شريط"),
    "kg": ("kg", "kgs", "kilo", "kilogram", "كغم", "كجم", "كيلو", "كيلوغرام"),
    "g": ("g", "gm", "gram", "grams", "غم", "غرام", "جرام"),
    "l": ("l", "lt", "ltr", "liter", "litre", "liters", "litres", "لتر"),
    "ml": ("ml", "مل", "مليلتر"),
    "m": ("m", "meter", "metre", "meters", "metres", "متر"),
}

#: Fields of a product and the headers people give them.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "sku": (
        "sku", "code", "item code", "product code", "item no", "item number",
        "رمز", "الرمز", "رمز المنتج", "رمز المادة", "رمز الصنف", "كود", "الكود", "كود المنتج",
    ),
    "name": (
        "name", "product", "product name", "item", "item name", "name en", "english name",
        "الاسم", "اسم المنتج", "اسم المادة", "اسم الصنف", "المنتج", "المادة", "الاسم بالإنجليزية",
        "الاسم الإنجليزي",
    ),
    "name_ar": (
        "name ar", "arabic name", "name (arabic)", "name arabic",
        "الاسم العربي", "الاسم بالعربية", "الاسم بالعربي", "اسم المنتج بالعربية",
    ),
    "barcode": (
        "barcode", "bar code", "ean", "ean13", "ean 13", "gtin", "upc", "باركود", "الباركود",
    ),
    "price": (
        "price", "unit price", "selling price", "sale price", "retail price",
        "السعر", "سعر", "سعر البيع", "سعر المفرد",
    ),
    "currency": ("currency", "العملة", "عملة"),
    "unit": ("unit", "uom", "unit of measure", "الوحدة", "وحدة", "وحدة القياس"),
    "stock": (
        "stock", "qty", "quantity", "on hand", "in stock",
        "المخزون", "الكمية", "العدد", "الرصيد",
    ),
}  # fmt: skip

REQUIRED = ("sku", "name", "price")
LONGEST = {"sku": 64, "name": 200, "name_ar": 200}
LONGEST_CELL = 2_000
_MOST = Decimal(10) ** 12
_STOCK_DECIMALS = 3

_UNIT_NAMES = {search_key(name): unit for unit, names in UNITS.items() for name in names}
_FIELD_NAMES = {search_key(name): field for field, names in HEADERS.items() for name in names}
_SPACES = re.compile(r"[\s_\-\u00a0]+")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_GROUPED_COMMAS = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_GROUPED_DOTS = re.compile(r"-?\d{1,3}(\.\d{3})+(,\d+)")
_GROUPED_DOTS_ONLY = re.compile(r"-?\d{1,3}(\.\d{3}){2,}")
_DECIMAL_COMMA = re.compile(r"-?\d{1,15},\d{1,2}")
_GTIN_LENGTHS = frozenset((8, 12, 13, 14))


class ImportState(StrEnum):
    """Where an import stands. The last three do not change any more."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        return self not in (ImportState.QUEUED, ImportState.RUNNING)


class Reason(NamedTuple):
    """Why a row was rejected: the field, one of errors.REASONS, and what fills its text."""

    field: str
    code: str
    params: Mapping[str, str] = {}


class ProductRow(NamedTuple):
    """A product as a list gives it; `search` is what the search looks in."""

    sku: str
    name: str
    name_ar: str
    barcode: str
    price: Decimal
    currency: str
    unit: str
    stock: Decimal
    search: str


class BadHeader(Exception):
    """The header says too little or too much; `code` is one of errors.FAILURES."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


def find_columns(header: Sequence[str]) -> dict[str, int]:
    """Field to column. Unknown columns are left alone. Raises BadHeader."""
    columns: dict[str, int] = {}
    for index, title in enumerate(header):
        field = _FIELD_NAMES.get(search_key(_SPACES.sub(" ", title).strip()))
        if field is None:
            continue
        if field in columns:
            raise BadHeader(
                "column_twice", first=header[columns[field]].strip(), second=title.strip()
            )
        columns[field] = index
    if "name" not in columns and "name_ar" in columns:
        columns["name"] = columns["name_ar"]
    missing = [field for field in REQUIRED if field not in columns]
    if missing:
        raise BadHeader("missing_columns", columns=",".join(missing))
    return columns


class RowReader:
    """Reads the rows of one file: where its columns are, and the currency of its business."""

    def __init__(self, header: Sequence[str], *, currency: str) -> None:
        self.columns = find_columns(header)
        # A sheet is as wide as its widest row: blank titles at the end are no columns.
        self._width = max(at for at, title in enumerate(header, start=1) if title.strip())
        self._currency = currency
        self._order = tuple(self.columns.get(field, -1) for field in HEADERS)

    def read(self, cells: Sequence[str] | None) -> ProductRow | list[Reason]:
        """A product, or every reason against the row."""
        if cells is None:
            return [Reason("", "row_unreadable")]
        if len(cells) > self._width and any(map(str.strip, cells[self._width :])):
            return [Reason("", "row_too_wide", {"cells": str(len(cells))})]
        together = "".join(cells)
        plain = together.isprintable() and len(together) <= LONGEST_CELL
        # One look at the whole row tells that almost every row needs no closer one.
        if not plain and (odd := self._oddities(cells)):
            return odd
        texts = [*map(str.strip, cells), ""] if plain else [*map(_on_one_line, cells), ""]
        if "'" in together:
            texts = [*map(unguarded, texts)]
        end = len(cells)
        sku, name, name_ar, barcode, price, currency, unit, stock = [
            texts[at if at < end else -1] for at in self._order
        ]
        name = name or name_ar
        reasons: list[Reason] = []
        _text("sku", sku, reasons)
        _text("name", name, reasons)
        if len(name_ar) > LONGEST["name_ar"]:
            reasons.append(_too_long("name_ar"))
        code = currency.upper() or self._currency
        decimals = CURRENCIES.get(code)
        if decimals is None:
            reasons.append(Reason("currency", "currency_unknown", {"value": currency[:40]}))
        measure = _UNIT_NAMES.get(unit) or _UNIT_NAMES.get(search_key(unit)) if unit else "piece"
        if measure is None:
            reasons.append(Reason("unit", "unit_unknown", {"value": unit[:40]}))
        digits = _barcode(barcode, reasons)
        amount = _price(price, decimals, code, reasons)
        quantity = _stock(stock, reasons)
        if reasons or amount is None or quantity is None or measure is None:
            return reasons
        search = search_key(f"{sku} {name} {name_ar} {digits}")
        return ProductRow(sku, name, name_ar, digits, amount, code, measure, quantity, search)

    def _oddities(self, cells: Sequence[str]) -> list[Reason]:
        reasons = []
        for field, at in self.columns.items():
            text = cells[at] if at < len(cells) else ""
            if len(text) > LONGEST_CELL:
                reasons.append(Reason(field, "cell_too_long", {"limit": str(LONGEST_CELL)}))
            elif has_controls(text.strip()):
                reasons.append(Reason(field, "control_characters"))
        return reasons


def check_digit(digits: str) -> str:
    """The digit that follows `digits` in a GTIN (GS1 General Specifications, 7.9)."""
    total = 3 * sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2]))
    return str(-total % 10)


def parse_number(text: str) -> Decimal | None:
    """A number as people write it, in either kind of digits; None for what is none.

    `1,250` is one thousand two hundred and fifty and `12,5` twelve and a half; what could be
    either way round with equal right, such as `1.250,5,0`, is no number.
    """
    if _PLAIN_NUMBER.fullmatch(text):
        return Decimal(text)
    text = latin_digits(text).replace(" ", "").replace("\u00a0", "").replace("\u202f", "")
    if _PLAIN_NUMBER.fullmatch(text):
        return Decimal(text)
    if _GROUPED_COMMAS.fullmatch(text):
        return Decimal(text.replace(",", ""))
    if _GROUPED_DOTS.fullmatch(text) or _GROUPED_DOTS_ONLY.fullmatch(text):
        return Decimal(text.replace(".", "").replace(",", "."))
    if _DECIMAL_COMMA.fullmatch(text):
        return Decimal(text.replace(",", "."))
    return None


def _on_one_line(cell: str) -> str:
    return " ".join(cell.split())


def _text(field: str, text: str, reasons: list[Reason]) -> None:
    if not text:
        reasons.append(Reason(field, f"{field}_missing"))
    elif len(text) > LONGEST[field]:
        reasons.append(_too_long(field))


def _too_long(field: str) -> Reason:
    return Reason(field, "text_too_long", {"limit": str(LONGEST[field])})


def _barcode(text: str, reasons: list[Reason]) -> str:
    if not text:
        return ""
    digits = text if text.isascii() else latin_digits(text)
    if not (digits.isascii() and digits.isdigit()):
        reasons.append(Reason("barcode", "barcode_not_digits"))
    elif len(digits) not in _GTIN_LENGTHS:
        reasons.append(Reason("barcode", "barcode_length", {"digits": str(len(digits))}))
    elif (right := check_digit(digits[:-1])) != digits[-1]:
        reasons.append(
            Reason("barcode", "barcode_check_digit", {"digit": digits[-1], "right": right})
        )
    return digits


def _price(text: str, decimals: int | None, code: str, reasons: list[Reason]) -> Decimal | None:
    if not text:
        reasons.append(Reason("price", "price_missing"))
        return None
    price = parse_number(text)
    if price is None:
        reasons.append(Reason("price", "price_not_a_number", {"value": text[:40]}))
    elif price < 0:
        reasons.append(Reason("price", "price_negative"))
    elif price >= _MOST:
        reasons.append(Reason("price", "price_too_large"))
    elif decimals is not None and price != round(price, decimals):
        reasons.append(
            Reason("price", "price_decimals", {"currency": code, "decimals": str(decimals)})
        )
    return price


def _stock(text: str, reasons: list[Reason]) -> Decimal | None:
    if not text:
        return Decimal(0)
    stock = parse_number(text)
    if stock is None or stock != round(stock, _STOCK_DECIMALS):
        reasons.append(Reason("stock", "stock_not_a_number", {"value": text[:40]}))
    elif stock < 0:
        reasons.append(Reason("stock", "stock_negative"))
    elif stock >= _MOST:
        reasons.append(Reason("stock", "stock_too_large"))
    return stock
