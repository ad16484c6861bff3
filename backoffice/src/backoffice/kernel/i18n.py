"""Languages: translations from the .po files, plural forms, numbers, money and times."""

from __future__ import annotations

import gettext
import io
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LANGUAGES = {"en": "English", "ar": "العربية"}
LOCALE_FOLDER = Path(__file__).parent.parent / "locale"
_REGION = {"en": "en_GB", "ar": "ar_IQ"}


class Language:
    """One language of the pages: its texts and its way of writing numbers and times."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.name = LANGUAGES[code]
        self._locale = Locale.parse(_REGION[code])
        self._moment = "d MMM yyyy، HH:mm" if code == "ar" else "d MMM yyyy, HH:mm"
        self.direction = self._locale.text_direction
        self.translations = _translations(code)

    def text(self, message: str, **params: object) -> str:
        return self.translations.gettext(message) % params

    def number(self, value: Decimal | int) -> str:
        return numbers.format_decimal(value, locale=self._locale)

    def money(self, value: Decimal, currency: str) -> str:
        """An amount with its decimals; the currency stands in a column of its own."""
        digits = numbers.get_currency_precision(currency)
        pattern = "#,##0." + "0" * digits if digits else "#,##0"
        return numbers.format_decimal(value, pattern, locale=self._locale)

    def moment(self, value: datetime, timezone: str) -> str:
        """A time as it was on the clock of the business."""
        local = value.astimezone(ZoneInfo(timezone))
        return dates.format_datetime(local, self._moment, locale=self._locale)


@cache
def language(code: str) -> Language:
    return Language(code)


def choose(asked: str | None, accept_language: str) -> str:
    """The language of a page: the one that was chosen, else the browser's first that we have."""
    if asked in LANGUAGES:
        return str(asked)
    for part in accept_language.split(","):
        code = part.split(";")[0].strip()[:2].lower()
        if code in LANGUAGES:
            return code
    return "en"


def _translations(code: str) -> gettext.NullTranslations:
    """The catalogue, compiled in memory: there is no binary to forget to compile."""
    path = LOCALE_FOLDER / code / "LC_MESSAGES" / "backoffice.po"
    if not path.exists():
        return gettext.NullTranslations()  # English stands in the source
    with path.open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
