"""Arguments and results as JSON: what goes in comes out equal, or is refused where it is made."""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from enum import Enum
from math import isfinite
from pathlib import Path, PurePath
from typing import Any

import msgspec

from tabur.errors import PayloadError
from tabur.model.records import ErrorInfo
from tabur.model.text import storable

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Makes arguments of one version, as they stand in JSON, those of the version after it."""

MAX_PAYLOAD = 1024 * 1024
MAX_RESULT = 64 * 1024
MAX_CURSOR = 64 * 1024
MAX_ERROR = 16 * 1024


class ArgumentCodec:
    """Encodes and decodes the arguments of one job.

    `fields` maps each argument to (type, default), with `REQUIRED` for none. `check` encodes and
    decodes again: what the programmer gets back is what the job will get, or a PayloadError. With
    `hides`, no error tells of a value.
    """

    def __init__(
        self, name: str, fields: Mapping[str, tuple[Any, Any]], *, hides: bool = False
    ) -> None:
        self.name = name
        self._hides = hides
        for field, (kind, _) in fields.items():
            _refuse_type(kind, f"{name}: argument {field!r}")
        self.type = msgspec.defstruct(
            "Arguments",
            [
                (field, kind) if default is REQUIRED else (field, kind, _default(default))
                for field, (kind, default) in fields.items()
            ],
            kw_only=True,
            frozen=True,
            forbid_unknown_fields=True,
        )
        try:
            self._decoder = msgspec.json.Decoder(self.type, dec_hook=_dec_hook)
        except TypeError as error:
            raise PayloadError(f"{name}: its arguments cannot be kept as JSON: {error}") from None
        self._encoder = msgspec.json.Encoder(enc_hook=_enc_hook)
        self._sorting = msgspec.json.Encoder(enc_hook=_enc_hook, order="deterministic")

    def check(self, arguments: dict[str, Any]) -> tuple[bytes, Any]:
        """The payload of `arguments` and the arguments as the job will see them."""
        try:
            for field, value in arguments.items():
                if type(value) not in _PLAIN:
                    _refuse_unfaithful(value, field)
            payload = self._encoder.encode(arguments)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise PayloadError(f"{self.name}: {self._told(error)}") from None
        if len(payload) > MAX_PAYLOAD:
            raise PayloadError(
                f"{self.name}: the arguments take {len(payload):,} bytes, and {MAX_PAYLOAD:,} are "
                "allowed. Store the data (a table, a file) and pass its id or path."
            )
        return payload, self.decode(payload)

    def canonical(self, arguments: Any) -> bytes:
        """One form for equal arguments, in whatever order and with whatever defaults left out they
        were given."""
        return self._sorting.encode(arguments)

    def decode(self, payload: bytes) -> Any:
        """The arguments in `payload` as a struct. Raises PayloadError."""
        try:
            return self._decoder.decode(payload)
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
            raise PayloadError(f"{self.name}: {self._told(error)}") from None

    def decode_old(self, payload: bytes, upcasters: Iterable[tuple[int, Upcaster]]) -> Any:
        """As `decode`, of a payload of an earlier version: `upcasters` bring it on one after the
        other, each from the version beside it. Raises PayloadError."""
        try:
            arguments: Any = msgspec.json.decode(payload, type=dict[str, Any])
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise PayloadError(f"{self.name}: {self._told(error)}") from None
        for version, upcast in upcasters:
            try:
                arguments = upcast(arguments)
            except Exception as error:  # code of the application's
                seen = describe(error)
                why = seen.type if self._hides else f"{seen.type}: {seen.message}"
                cause = None if self._hides else error
                raise PayloadError(_NOT_BROUGHT_ON.format(self.name, version, why)) from cause
            if not isinstance(arguments, dict):
                why = f"a {type(arguments).__name__} came out, not a dict"
                raise PayloadError(_NOT_BROUGHT_ON.format(self.name, version, why))
        try:
            return self.decode(self._encoder.encode(arguments))
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            raise PayloadError(f"{self.name}, after upcasting: {self._told(error)}") from None

    def _told(self, error: BaseException) -> str:
        reason = _reason(error)
        if not self._hides or isinstance(error, _OF_KINDS):
            return reason
        place = _PLACE.search(reason)
        return f"an argument does not fit (its value is not shown){place[0] if place else ''}"


_NOT_BROUGHT_ON = (
    "{}: the upcaster of its arguments of version {} does not do: {}. Mend it, deploy, and retry "
    "the job."
)


def encode_result(value: Any, what: str = "The job did its work, but its result") -> bytes | None:
    """A job's result as JSON; None for None. `what` begins the error's text. Raises
    PayloadError."""
    if value is None:
        return None
    raw = _encode_small(value, what, "the result")
    if len(raw) > MAX_RESULT:
        raise PayloadError(
            f"{what} takes {len(raw):,} bytes, and {MAX_RESULT:,} are allowed. Return a summary "
            "and ctx.attach() the rest."
        )
    return raw


def encode_cursor(value: Any) -> bytes:
    """A checkpoint's cursor as JSON. It must come back as it went in: what changes would be found
    out by the attempt after a crash. Raises PayloadError."""
    raw = _encode_small(value, "The cursor", "the cursor")
    if len(raw) > MAX_CURSOR:
        raise PayloadError(
            f"The cursor takes {len(raw):,} bytes, and {MAX_CURSOR:,} are allowed. Keep the last "
            "key or position in it, and the rest in a table."
        )
    if (back := msgspec.json.decode(raw)) != value:
        raise PayloadError(
            f"The cursor is kept as JSON: {value!r:.200} would come back as {back!r:.200}. Give "
            "numbers, texts, and lists and dicts of them."
        )
    return raw


def decode_cursor(raw: bytes | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def decode_result(raw: bytes | None) -> Any:
    return None if raw is None else msgspec.json.decode(raw)


def describe(error: BaseException) -> ErrorInfo:
    """An exception as it is kept, its texts made storable."""
    try:
        message = str(error)
    except Exception as broken:  # a __str__ that fails must not fail the worker
        message = f"<its __str__ raised {type(broken).__name__}>"
    try:
        trace = "".join(traceback.format_exception(error))
    except Exception as broken:
        trace = f"<its traceback could not be written: {type(broken).__name__}>"
    return ErrorInfo(
        type=storable(type(error).__qualname__, limit=200),
        message=storable(message or type(error).__name__, limit=2_000),
        traceback=storable(trace, limit=MAX_ERROR - 3_000),
    )


def _encode_small(value: Any, what: str, name: str) -> bytes:
    try:
        if type(value) not in _PLAIN:
            _refuse_unfaithful(value, name)
        return _result_encoder.encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise PayloadError(f"{what} cannot be kept: {_reason(error)}") from None


def _refuse_type(kind: Any, where: str) -> None:
    """Refuse an annotation that JSON cannot carry, where it is written."""
    try:
        seen = [msgspec.inspect.type_info(kind)]
    except TypeError as error:
        raise PayloadError(f"{where}: {error}") from None
    while seen:
        info = seen.pop()
        if isinstance(info, msgspec.inspect.CustomType):
            given = getattr(info.cls, "__origin__", info.cls)
            if not (isinstance(given, type) and issubclass(given, PurePath)):
                raise PayloadError(
                    f"{where} is a {getattr(info.cls, '__name__', info.cls)}, which cannot be kept "
                    "as JSON. Take its id and load it inside the job."
                )
        for field in getattr(info, "__struct_fields__", ()):
            value = getattr(info, field)
            parts = value if isinstance(value, tuple) else (value,)
            seen += [part for part in parts if isinstance(part, msgspec.inspect.Type)]


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()
#: Where it is, at the end of what msgspec says is wrong.
_PLACE = re.compile(r" - at `[^`]*`$")
#: Errors whose texts tell of types alone.
_OF_KINDS = (TypeError, RecursionError, UnicodeEncodeError)
_PLAIN = frozenset({int, str, bool, type(None), bytes})


def _default(value: Any) -> Any:
    if isinstance(value, list | dict | set | bytearray):
        return msgspec.field(default_factory=lambda: copy(value))
    return value


def _refuse_unfaithful(value: Any, where: str, depth: int = 0) -> None:
    """Refuse what JSON would change in silence: NaN and infinity become null, and a zone's offset
    loses its seconds."""
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{where} is {value}; JSON has no such number. Pass None.")
    elif isinstance(value, datetime):
        if (offset := value.utcoffset()) is not None and offset % timedelta(minutes=1):
            raise ValueError(
                f"{where} is {value}, whose zone is off by seconds; pass it as .astimezone(UTC)."
            )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, float):
                _refuse_unfaithful(key, f"a key of {where}", depth + 1)
            _refuse_unfaithful(item, f"{where}[{key!r}]" if depth < 4 else where, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for n, item in enumerate(value):
            if type(item) not in _PLAIN:
                _refuse_unfaithful(item, f"{where}[{n}]" if depth < 4 else where, depth + 1)
    else:
        for field in _field_names(value):
            _refuse_unfaithful(getattr(value, field), f"{where}.{field}", depth + 1)


def _field_names(value: Any) -> Iterable[str]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [each.name for each in dataclasses.fields(value)]
    return ()


def _enc_hook(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    kind = type(value)
    raise TypeError(
        f"a {kind.__module__}.{kind.__qualname__} cannot be kept as JSON. Pass its id (or a "
        "dataclass, a msgspec.Struct, numbers, text, dates) and load it inside the job."
    )


def _dec_hook(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath):
        if not isinstance(value, str):
            raise TypeError(f"Expected a path as text, got {type(value).__name__}")
        return Path(value) if kind is Path else kind(value)
    raise TypeError(f"{kind.__module__}.{kind.__qualname__} is not a type that JSON can carry")


_result_encoder = msgspec.json.Encoder(enc_hook=_enc_hook)


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "the arguments are nested too deeply (more than about 1,000 levels)."
    if isinstance(error, UnicodeEncodeError):
        return (
            f"text with a lone surrogate (position {error.start}) is not valid Unicode; "
            "decode it with errors='replace' where it is read."
        )
    return str(error)
