"""What can go wrong with a list of products, and the texts that say so to its owner."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from backoffice.integrations.tables import PROBLEMS
from backoffice.kernel.text import N_

#: Reasons against a row, by code (rules.Reason).
REASONS = {
    "row_unreadable": N_("The row cannot be split into columns: a quotation mark is not closed."),
    "row_too_wide": N_("The row has more columns than the header: %(cells)s."),
    "cell_too_long": N_("The cell is longer than %(limit)s characters."),
    "control_characters": N_("The cell has characters that are no text."),
    "sku_missing": N_("The SKU is missing."),
    "sku_twice": N_("Row %(row)s has the same SKU; the first one was taken."),
    "name_missing": N_("The name is missing."),
    "text_too_long": N_("Longer than %(limit)s characters."),
    "price_missing": N_("The price is missing."),
    "price_not_a_number": N_("“%(value)s” is not a price."),
    "price_negative": N_("The price is below zero."),
    "price_too_large": N_("The price is too large."),
    "price_decimals": N_("A price in %(currency)s has at most %(decimals)s decimals."),
    "currency_unknown": N_("“%(value)s” is not a currency we know. Use IQD or KES."),
    "unit_unknown": N_("“%(value)s” is not a unit we know."),
    "barcode_not_digits": N_("A barcode has digits only."),
    "barcode_length": N_("A barcode has 8, 12, 13 or 14 digits; this one has %(digits)s."),
    "barcode_check_digit": N_("The barcode ends with %(digit)s and should end with %(right)s."),
    "stock_not_a_number": N_("“%(value)s” is not a quantity."),
    "stock_negative": N_("The quantity is below zero."),
    "stock_too_large": N_("The quantity is too large."),
}

FIELDS = {
    "sku": N_("SKU"),
    "name": N_("Name"),
    "name_ar": N_("Arabic name"),
    "barcode": N_("Barcode"),
    "price": N_("Price"),
    "currency": N_("Currency"),
    "unit": N_("Unit"),
    "stock": N_("Stock"),
}

UNITS = {
    "piece": N_("piece"),
    "pack": N_("pack"),
    "box": N_("box"),
    "carton": N_("carton"),
    "bottle": N_("bottle"),
    "dozen": N_("dozen"),
    "pair": N_("pair"),
    "roll": N_("roll"),
    "set": N_("set"),
    "strip": N_("strip"),
    "kg": N_("kg"),
    "g": N_("g"),
    "l": N_("litre"),
    "ml": N_("ml"),
    "m": N_("metre"),
}

#: Why a whole file is refused, or an import failed, by code.
FAILURES = PROBLEMS | {
    "missing_columns": N_("The header row lacks: %(columns)s. Add the column and try again."),
    "column_twice": N_("“%(first)s” and “%(second)s” mean the same column. Remove one of them."),
    "no_rows": N_("The file has a header row but no products below it."),
    "no_file": N_("Choose a file first."),
    "too_large": N_("The file is larger than %(limit)s MB. Split it or save it as CSV."),
    "key_reused": N_("This request was sent before with another file. Reload the page."),
    "internal": N_(
        "Something went wrong on our side. What was imported until then stays. "
        "Upload the same file again: nothing will be doubled."
    ),
}


class ImportRefused(Exception):
    """The upload is not accepted; `code` is one of FAILURES, `params` fill its text.

    `columns` in `params` holds fields, which are translated where the text is shown.
    """

    def __init__(
        self, code: str, *, status: int = 400, params: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.params = params


class ImportMoved(Exception):
    """The import is not where this run left it: another one carries it on, nothing was written."""
