"""Text as people in Iraq and Kenya type it: digits, spellings, and marks for translation."""

from __future__ import annotations

import re

#: Arabic-Indic and Persian digits, and the Arabic separators, to what int() and Decimal() read.
_DIGITS = str.maketrans(
    "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹٫٬",
    "01234567890123456789.,",
)
#: Letters written in several ways that mean the same to the reader, and the short vowels and the
#: stretching sign, which are written or left out at will.
_SAME: dict[int, int | None] = {**_DIGITS, **str.maketrans("أإآٱىةؤئ", "اااايهوي")}
_SAME |= dict.fromkeys([0x640, *range(0x64B, 0x653), 0x670])
#: C0 and C1 controls but tab and line ends, and what turns the direction of the text around it.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]"
)


def N_(message: str) -> str:  # noqa: N802 - the name every extractor of messages knows
    """Marks a text for translation where it stands, to be translated where it is shown."""
    return message


def latin_digits(text: str) -> str:
    return text.translate(_DIGITS)


def has_controls(text: str) -> bool:
    """True for text with control characters or surrogates: no name or code has any."""
    return _CONTROLS.search(text) is not None or not _storable(text)


def search_key(text: str) -> str:
    """The form in which texts are compared: case, vowels and spellings of one letter ignored."""
    if text.isascii():
        return text.casefold()
    return text.casefold().translate(_SAME)


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
