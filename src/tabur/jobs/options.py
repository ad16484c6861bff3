"""The options of a job: what its declaration says, and what one dispatch changes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from tabur.config import CONNECTIONS, ConnectionName
from tabur.errors import ConfigError
from tabur.jobs.middleware import Middleware, made
from tabur.jobs.spans import Span, span_us
from tabur.jobs.uniqueness import (
    OnConflict,
    UniqueBy,
    Uniqueness,
    UniqueUntil,
    take_uniqueness,
)
from tabur.model.clock import SECOND, moment_us
from tabur.model.keeping import LEAST
from tabur.model.records import DispatchOptions
from tabur.model.retry import Backoff, Exponential, Policy, parse_backoff
from tabur.model.states import Isolation
from tabur.model.text import shown

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

    CallersTransaction = Session | Connection | AsyncSession | AsyncConnection

BackoffSpec = float | Sequence[float] | Exponential

#: Bounds that keep every store's columns and every clock safe.
LONGEST_NAME = 200
LARGEST_TRIES = 1_000_000
LARGEST_PRIORITY = 1_000_000
LARGEST_VERSION = 1_000_000
LARGEST_COUNT = 1_000_000_000


class DeclaredOptions(TypedDict, total=False):
    """The keywords of `@jobs.job(...)` and of a `Job` class."""

    name: str | None
    connection: ConnectionName | None
    queue: str
    tries: int
    backoff: BackoffSpec
    timeout: Span | None
    max_exceptions: int | None
    retry_until: Span | None
    expires: Span | None
    priority: int
    isolation: str | None
    never_retry: tuple[type[BaseException], ...]
    fail_on_timeout: bool
    aliases: list[str] | tuple[str, ...]
    owner_may_retry: bool
    middleware: Sequence[Middleware]
    encrypted: bool
    secret: list[str] | tuple[str, ...]
    version: int
    title: str | None
    unique: UniqueBy
    unique_for: Span | None
    unique_until: UniqueUntil | None
    on_conflict: OnConflict | None
    debounce: Span | None
    max_wait: Span | None
    keep_completed: Span | None
    keep_failed: Span | None
    keep_cancelled: Span | None
    keep_at_most: int | None


class DispatchKeywords(TypedDict, total=False):
    """The keywords of `options(...)`: what one dispatch sets otherwise than its declaration."""

    connection: ConnectionName | None
    queue: str | None
    delay: Span | None
    at: datetime | None
    priority: int | None
    tries: int | None
    backoff: BackoffSpec | None
    timeout: Span | None
    retry_until: Span | datetime | None
    expires: Span | datetime | None
    session: CallersTransaction | None
    after_commit: bool
    tenant: str | None
    user: str | None
    locale: str | None
    idempotency_key: str | None
    unique_key: str | None
    unique_for: Span | None
    unique_until: UniqueUntil | None
    on_conflict: OnConflict | None
    debounce: Span | None
    max_wait: Span | None


class JobOptions(msgspec.Struct, frozen=True):
    """What a job's declaration says. None: the worker's or the connection's default holds."""

    connection: str | None = None
    queue: str | None = None
    tries: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    max_exceptions: int | None = None
    retry_until: int | None = None
    """Microseconds from dispatch."""
    expires: int | None = None
    """Microseconds from dispatch; it never starts after."""
    priority: int = 0
    isolation: Isolation | None = None
    never_retry: tuple[type[BaseException], ...] = ()
    fail_on_timeout: bool = False
    aliases: tuple[str, ...] = ()
    owner_may_retry: bool = False
    middleware: tuple[Any, ...] = ()
    """What its run goes through, the first outermost."""
    encrypted: bool = False
    """No store reads its arguments or its result, and nobody is shown them."""
    secret: tuple[str, ...] = ()
    """Arguments that nobody is shown; stores keep them as they are."""
    version: int = 1
    """Of its arguments: a worker that knows only a lower one leaves the job to others."""
    title: str | None = None
    """What it does, as logs say it: `background sync`."""
    uniqueness: Uniqueness | None = None
    keep_completed: int | None = None
    """Microseconds from its end. None, here and below: as the settings say."""
    keep_failed: int | None = None
    keep_cancelled: int | None = None
    """None: as `keep_completed`, where that is set."""
    keep_at_most: int | None = None
    """So many of each ending; None: however many."""

    def starting(self, name: str) -> str:
        """`Starting background sync job`, as a log says it."""
        return f"Starting {self.title or words(name)} job"

    def ended(self, name: str, how: str) -> str:
        """`Background sync job completed`."""
        title = self.title or words(name)
        return f"{title[:1].upper()}{title[1:]} job {how}"

    def policy(self, given: DispatchOptions, defaults: Policy) -> Policy:
        """The rules for one job; `defaults` are what the worker was started with."""
        return Policy(
            tries=_first(given.tries, self.tries, defaults.tries),
            backoff=_first(given.backoff, self.backoff, defaults.backoff),
            max_exceptions=self.max_exceptions,
            retry_until=given.retry_until,
            fail_on_timeout=self.fail_on_timeout,
        )


def declared(job: str, given: DeclaredOptions) -> tuple[str | None, JobOptions]:
    """Name and options from a declaration. Raises ConfigError naming the job and the option."""
    unknown = set(given) - set(DeclaredOptions.__annotations__)
    if unknown:
        known = ", ".join(sorted(DeclaredOptions.__annotations__))
        raise ConfigError(
            f"{job}: unknown option {', '.join(sorted(unknown))}; there are: {known}."
        )
    values: dict[str, Any] = dict(given)
    name = values.pop("name", None)
    try:
        if name is not None:
            check_name(name, "name")
        if values.get("title") is not None:
            check_name(values["title"], "title")
        for option, one in (("aliases", "alias"), ("secret", "secret")):
            if option in values:
                values[option] = _names(values[option], option, one)
        if "middleware" in values:
            values["middleware"] = made(values["middleware"])
        if values.get("isolation") is not None:
            values["isolation"] = _isolation(values["isolation"])
        if (kinds := values.get("never_retry")) is not None:
            values["never_retry"] = _exceptions(kinds)
        for option in ("retry_until", "expires"):
            if values.get(option) is not None:
                values[option] = span_us(values[option], option)
        _check_what_is_kept(values)
        _check_switches(values)
        said = take_uniqueness(values)
        uniqueness = None if said is None else said.complete()
        return name, JobOptions(**_checked(values), uniqueness=uniqueness)
    except ConfigError as error:
        raise ConfigError(f"{job}: {error}") from None


class Until(msgspec.Struct, frozen=True):
    """A moment, or a span that begins when the job is dispatched; microseconds."""

    moment: int = 0
    span: int | None = None


class DispatchSettings(msgspec.Struct, frozen=True):
    """What one dispatch sets, checked; unset fields leave the declaration as it is."""

    connection: str | None = None
    queue: str | None = None
    delay: int = 0
    at: int | None = None
    priority: int | None = None
    tries: int | None = None
    backoff: Backoff | None = None
    timeout: float | None = None
    retry_until: Until | None = None
    expires: Until | None = None
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None
    idempotency_key: str | None = None
    after_commit: bool = False
    session: Any = None
    uniqueness: Uniqueness | None = None
    """Over what the job declares."""

    def merged(self, given: DispatchKeywords) -> DispatchSettings:
        """These settings with more options. Raises ConfigError."""
        unknown = set(given) - set(DispatchKeywords.__annotations__)
        if unknown:
            known = ", ".join(sorted(DispatchKeywords.__annotations__))
            raise ConfigError(
                f"options({', '.join(sorted(unknown))}) is not known; there are: {known}."
            )
        values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if "delay" in values:
            values["delay"] = span_us(values["delay"], "delay")
        if "at" in values:
            if not isinstance(values["at"], datetime):
                raise ConfigError(
                    f"at={shown(values['at'])}: an aware datetime is needed (or use delay=)."
                )
            values["at"] = _moment(values["at"], "at")
        for option in ("retry_until", "expires"):
            if option in values:
                values[option] = _until(values[option], option)
        for option in ("tenant", "user", "locale"):
            if option in values:
                check_name(values[option], option)
        if "idempotency_key" in values:
            check_name(values["idempotency_key"], "idempotency_key", longest=255)
        if (said := take_uniqueness(values)) is not None:
            values["uniqueness"] = said.over(self.uniqueness)
        return msgspec.structs.replace(self, **_checked(values))


NO_SETTINGS = DispatchSettings()


def check_name(value: Any, what: str, *, longest: int = LONGEST_NAME) -> str:
    """A name that every store, log and page can carry. Raises ConfigError."""
    if not isinstance(value, str) or not value or len(value) > longest or not value.isprintable():
        raise ConfigError(f"{what}={shown(value)}: 1 to {longest} printable characters are needed.")
    return value


def words(name: str) -> str:
    """`send order confirmation` from `send_order_confirmation` or `SendOrderConfirmationJob`."""
    parts = _PARTS.findall(name.removesuffix("Job") or name)
    return " ".join(part if part.isupper() else part.lower() for part in parts) or name


_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W_A-Z]+|[A-Z]")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    if (connection := values.get("connection")) is not None and connection not in CONNECTIONS:
        known = ", ".join(CONNECTIONS)
        raise ConfigError(f"connection={shown(connection)} is not known; there are: {known}.")
    if (queue := values.get("queue")) is not None and "," in check_name(queue, "queue"):
        raise ConfigError(f"queue={shown(queue)}: a comma separates queues, so a name has none.")
    if values.get("tries") is not None:
        _whole(values["tries"], "tries", 0, LARGEST_TRIES)
    if values.get("max_exceptions") is not None:
        _whole(values["max_exceptions"], "max_exceptions", 1, LARGEST_TRIES)
    if values.get("priority") is not None:
        _whole(values["priority"], "priority", -LARGEST_PRIORITY, LARGEST_PRIORITY)
    if values.get("version") is not None:
        _whole(values["version"], "version", 1, LARGEST_VERSION)
    if values.get("backoff") is not None:
        values["backoff"] = parse_backoff(values["backoff"])
    if (timeout := values.get("timeout")) is not None:
        if (span := span_us(timeout, "timeout")) <= 0:
            raise ConfigError(f"timeout={shown(timeout)}: seconds above 0 are needed.")
        values["timeout"] = span / SECOND
    return values


def _whole(value: Any, what: str, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(
            f"{what}={shown(value)}: a whole number from {least} to {most} is needed."
        )


def _check_what_is_kept(values: dict[str, Any]) -> None:
    for option in ("keep_completed", "keep_failed", "keep_cancelled"):
        if (given := values.get(option)) is not None:
            values[option] = span_us(given, option)
            if values[option] < LEAST:
                raise ConfigError(f"{option}={shown(given)}: an hour or more is needed.")
    if values.get("keep_at_most") is not None:
        _whole(values["keep_at_most"], "keep_at_most", 1, LARGEST_COUNT)


def _until(value: Any, what: str) -> Until:
    if isinstance(value, datetime):
        return Until(moment=_moment(value, what))
    return Until(span=span_us(value, what))


def _moment(value: datetime, what: str) -> int:
    try:
        return moment_us(value)
    except ValueError as error:
        raise ConfigError(f"{what}: {error}") from None


def _isolation(value: Any) -> Isolation:
    try:
        return Isolation(value)
    except ValueError:
        known = ", ".join(Isolation)
        raise ConfigError(f"isolation={shown(value)} is not known; there are: {known}.") from None


def _check_switches(values: dict[str, Any]) -> None:
    for option in ("fail_on_timeout", "owner_may_retry", "encrypted"):
        if not isinstance(values.get(option, False), bool):
            raise ConfigError(f"{option}={shown(values[option])}: True or False is needed.")


def _names(given: Any, option: str, one: str) -> tuple[str, ...]:
    if not isinstance(given, list | tuple):
        raise ConfigError(f"{option}={shown(given)}: a list of names is needed.")
    return tuple(check_name(each, one) for each in given)


def _exceptions(kinds: Any) -> tuple[type[BaseException], ...]:
    given: tuple[Any, ...] = tuple(kinds) if isinstance(kinds, list | tuple) else (kinds,)
    for kind in given:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ConfigError(f"never_retry={shown(kind)}: exception classes are needed.")
    return given


def _first(*values: Any) -> Any:
    return next(value for value in values if value is not None)
