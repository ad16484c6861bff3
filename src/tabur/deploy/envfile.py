"""`.env`: lines that python-dotenv and systemd's EnvironmentFile= read alike.

systemd knows no `export`, no comment behind a value and no ${VARIABLE}; in single quotes a
backslash is an escape for dotenv and none for systemd. What both agree on is enough for a setting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

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


def changed(text: str, values: Mapping[str, str]) -> str:
    """`text` with these values in place of those it has, or behind all else. Raises ConfigError."""
    left = dict(values)
    lines: list[str] = []
    for each in text.removesuffix("\n").split("\n") if text else []:
        found = _NAMED.match(each.strip())
        name = found["name"] if found else ""
        if found and name in left:
            lines.append((found["export"] or "") + line(name, left.pop(name)))
        elif name not in values:  # of two the last counts: it is not to undo this
            lines.append(each)
    return "\n".join([*lines, *(line(name, value) for name, value in left.items()), ""])


def write(file: Path, text: str) -> None:
    """All of it or nothing. The file's owner and mode stay as they are; a new one is readable for
    its owner alone. Raises ConfigError."""
    target = file.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        kept = target.stat() if target.exists() else None
        with os.fdopen(os.open(beside, _NEW, 0o600), "w", encoding="utf-8") as out:
            out.write(text)
        if kept is not None:
            _own(beside, kept)
            beside.chmod(kept.st_mode & 0o7777)
        beside.replace(target)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error}") from None
    finally:
        beside.unlink(missing_ok=True)


def _own(file: Path, kept: os.stat_result) -> None:
    now = file.stat()
    if (now.st_uid, now.st_gid) != (kept.st_uid, kept.st_gid) and hasattr(os, "chown"):
        os.chown(file, kept.st_uid, kept.st_gid)


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


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NAMED = re.compile(r"(?P<export>export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=")
#: Plain; in single quotes; in double ones where no character is special.
_ALIKE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*=(?:"
    r"[\w@%+=:,./?&~!*()\[\]{}|<>^-]*"
    r"|'(?:(?!\$\{)[^'\\\x00-\x1f\x7f])*'"
    r'|"(?:(?!\$)[^"\\`\x00-\x1f\x7f])*"'
    r")",
    re.ASCII,
)
