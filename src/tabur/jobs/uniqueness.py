"""Unique jobs: what a declaration, or one dispatch, says of the key that only one may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from tabur.errors import ConfigError
from tabur.jobs.spans import span_us
from tabur.model.text import shown

UniqueBy = bool | str | tuple[str, ...] | list[str] | Callable[[Any], object]
UniqueUntil = Literal["start", "end"]
OnConflict = Literal["skip", "replace", "extend", "raise"]

_UNTIL = ("start", "end")
_ON_CONFLICT = ("skip", "replace", "extend", "raise")
_PUTS_OFF = ("replace", "extend")


class Uniqueness(msgspec.Struct, frozen=True):
    """None: it is not said. Spans in microseconds."""

    by: bool | tuple[str, ...] | Callable[[Any], object] | None = None
    """True: by all arguments; else by those named, or by what a function makes of them."""
    key: str | None = None
    window: int | None = None
    until: UniqueUntil | None = None
    on_conflict: OnConflict | None = None
    debounce: int | None = None
    max_wait: int | None = None

    def over(self, declared: Uniqueness | None) -> Uniqueness:
        """What this says, and where it says nothing, what is declared."""
        if declared is None:
            return self
        said = msgspec.structs.asdict(self)
        return replace(declared, **{name: each for name, each in said.items() if each is not None})

    def complete(self) -> Uniqueness | None:
        """With what follows from it; None: not unique. Raises ConfigError where it contradicts
        itself."""
        said = self
        if said.by is None and said.key is None and said.debounce is not None:
            said = replace(said, by=True)
        if not said.by and said.by != () and said.key is None:
            if said == Uniqueness(by=said.by):
                return None
            raise ConfigError(
                "unique_for, unique_until, on_conflict and max_wait are for unique jobs: add "
                "unique=True (by all arguments) or unique='order_id' (by one of them), or give "
                "options(unique_key=…)."
            )
        said._check()
        return said

    def _check(self) -> None:
        if self.window is not None and self.until is not None:
            raise ConfigError(
                "unique_for holds the key for so long, whatever becomes of the job: leave "
                "unique_until out."
            )
        if self.debounce is not None:
            if (self.window, self.until, self.on_conflict) != (None, None, None):
                raise ConfigError(
                    "debounce replaces what waits, until it starts: leave unique_for, unique_until "
                    "and on_conflict out."
                )
            if self.max_wait is not None and self.max_wait < self.debounce:
                raise ConfigError("max_wait is shorter than debounce.")
        elif self.max_wait is not None and self.on_conflict not in _PUTS_OFF:
            raise ConfigError(
                "max_wait bounds how far a job is put off: it goes with debounce=, or with "
                "on_conflict='replace' or 'extend'."
            )

    def check_fields(self, job: str, fields: Iterable[str]) -> None:
        """Raises ConfigError where it names an argument that `job` does not take."""
        if isinstance(self.by, tuple) and (odd := sorted(set(self.by) - set(fields))):
            known = ", ".join(fields) or "none"
            raise ConfigError(
                f"{job}: unique={shown(odd[0])} is none of its arguments; there are: {known}."
            )


def take_uniqueness(options: dict[str, Any]) -> Uniqueness | None:
    """What options say of it, taken out of them; None: nothing. Raises ConfigError."""
    said: dict[str, Any] = {}
    for option, (name, check) in _OPTIONS.items():
        value = options.pop(option, None)
        if value is not None:
            said[name] = check(value, option)
    return Uniqueness(**said) if said else None


def _by(value: Any, what: str) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(each, str) for each in value):
        return tuple(value)
    if isinstance(value, bool) or callable(value):
        return value
    raise ConfigError(
        f"{what}={shown(value)}: True, names of arguments, or a function of the arguments is "
        "needed."
    )


def _key(value: Any, what: str) -> str:
    # Printable or not does not matter: no store, log or page gets to see it.
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{what}={shown(value)}: a text is needed.")
    return value


def _positive(value: Any, what: str) -> int:
    us = span_us(value, what)
    if not us:
        raise ConfigError(f"{what}={shown(value)}: more than 0 seconds are needed.")
    return us


def _one_of(known: tuple[str, ...]) -> Callable[[Any, str], Any]:
    def check(value: Any, what: str) -> Any:
        if value not in known:
            raise ConfigError(f"{what}={shown(value)} is not known; there are: {', '.join(known)}.")
        return value

    return check


_OPTIONS: dict[str, tuple[str, Callable[[Any, str], Any]]] = {
    "unique": ("by", _by),
    "unique_key": ("key", _key),
    "unique_for": ("window", _positive),
    "unique_until": ("until", _one_of(_UNTIL)),
    "on_conflict": ("on_conflict", _one_of(_ON_CONFLICT)),
    "debounce": ("debounce", _positive),
    "max_wait": ("max_wait", _positive),
}
