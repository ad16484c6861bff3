"""`.env`: lines that python-dotenv and systemd's EnvironmentFile= read alike.

systemd knows no `export`, no comment behind a value and no ${VARIABLE}; in single quotes a
backslash is an escape for dotenv and none for systemd. What both agree on is enough for a setting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO

from tabur.errors import ConfigError


def read(text: str) -> dict[str, str]:
    """What `tabur` reads in it; ${VARIABLE} is what the environment has."""
    from dotenv import dotenv_values

    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def line(name: str, value: str) -> str:
    """`NAME=value`, in a form that is read alike. Raises ConfigError where there is none."""
    for form in (value, f"'{value}'", f'"{value}"'):
        if _ALIKE.fullmatch(f"{name}={form}"):
            return f"{name}={form}"
    raise ConfigError(
        f"The value of {name} cannot be written into a file so that every program reads it alike. "
        "Choose one without line breaks, backslashes, ${ and quotes of both kinds."
    )


def unlike(text: str) -> Iterator[tuple[int, str]]:
    """Lines that systemd may read otherwise than `tabur`: their numbers, from 1, and what stands
    before the `=`, for the rest may be a secret."""
    for number, each in enumerate(text.split("\n"), 1):
        stripped = each.strip(" \t\r")
        if stripped.startswith("#"):
            alike = not stripped.endswith("\\")  # systemd would take the next line for it, too
        else:
            alike = not stripped or _ALIKE.fullmatch(stripped) is not None
        if not alike:
            yield number, stripped.partition("=")[0].strip()


#: Plain; in single quotes; in double ones where no character is special.
_ALIKE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*=(?:"
    r"[\w@%+=:,./?&~!*()\[\]{}|<>^-]*"
    r"|'(?:(?!\$\{)[^'\\\x00-\x1f\x7f])*'"
    r'|"(?:(?!\$)[^"\\`\x00-\x1f\x7f])*"'
    r")",
    re.ASCII,
)
