"""A declared job: its name, its arguments' types, its options, and how to call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Coroutine, Mapping
from typing import Any, get_type_hints

from tabur.errors import ConfigError, PayloadError
from tabur.jobs.context import JobContext
from tabur.jobs.middleware import handles_of
from tabur.jobs.options import JobOptions, check_name
from tabur.jobs.seals import HIDDEN
from tabur.model.codec import REQUIRED, ArgumentCodec, Upcaster
from tabur.model.records import NO_OPTIONS, DispatchOptions
from tabur.model.retry import Policy
from tabur.model.states import Isolation
from tabur.model.text import shown


class JobDefinition:
    """What the registry keeps under a name.

    `call(ctx, arguments)` runs it, without its middleware; `fields` are its arguments in order, for
    positional calls.
    """

    def __init__(
        self,
        name: str,
        options: JobOptions,
        *,
        fields: dict[str, tuple[Any, Any]],
        call: Callable[[JobContext, Any], Any],
        is_async: bool,
        result_type: Any,
        failed: Callable[[JobContext, Any, BaseException], Any] | None = None,
    ) -> None:
        self.name = check_name(name, "name")
        self.options = options
        self.fields = tuple(fields)
        if options.uniqueness is not None:
            options.uniqueness.check_fields(name, self.fields)
        self.hidden = self._hidden()
        self.codec = ArgumentCodec(name, fields, hides=bool(self.hidden))
        self.call = call
        self.is_async = is_async
        self.result_type = result_type
        self.failed = failed
        try:
            self.handles = handles_of(options.middleware, is_async=is_async)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
        self.isolation = self._isolation()
        self._plain: tuple[Policy, Policy] | None = None
        self._upcasters: dict[int, Upcaster] = {}

    def shown(self, arguments: Mapping[str, Any]) -> str:
        """As text for people, without what is hidden."""
        return shown_arguments(arguments, self.hidden)

    def policy(self, given: DispatchOptions, defaults: Policy) -> Policy:
        """The rules for one job. Nearly all are dispatched without options of their own, and share
        one policy."""
        if given is not NO_OPTIONS:
            return self.options.policy(given, defaults)
        if self._plain is None or self._plain[0] is not defaults:
            self._plain = defaults, self.options.policy(given, defaults)
        return self._plain[1]

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Positional and named arguments as one dict. Raises PayloadError."""
        if not args:
            return kwargs
        if len(args) > len(self.fields):
            raise PayloadError(
                f"{self.name} takes {len(self.fields)} arguments, {len(args)} given."
            )
        named = dict(zip(self.fields, args, strict=False))
        twice = named.keys() & kwargs.keys()
        if twice:
            raise PayloadError(f"{self.name} got {', '.join(sorted(twice))} twice.")
        return named | kwargs

    def decode(self, payload: bytes, version: int) -> Any:
        """The arguments of a job that was dispatched with `version` of them; where a version has no
        upcaster, they are those of the next as they stand. Raises PayloadError."""
        if not self._upcasters or version >= self.options.version:
            return self.codec.decode(payload)
        # Not counted up from `version`: that stands in the store, where anything may stand.
        steps = [step for step in sorted(self._upcasters.items()) if step[0] >= version]
        return self.codec.decode_old(payload, steps)

    def add_upcaster(self, from_version: int, upcaster: Upcaster) -> None:
        """Raises ConfigError where there is no such version before the declared one, or it has an
        upcaster already."""
        latest = self.options.version
        if isinstance(from_version, bool) or from_version not in range(1, latest):
            raise ConfigError(
                f"{self.name}: upcast({shown(from_version)}) is from no version before its own, "
                f"which is {latest}. Declare the new arguments with version={latest + 1}."
            )
        if from_version in self._upcasters:
            raise ConfigError(f"{self.name}: version {from_version} has two upcasters.")
        self._upcasters[from_version] = upcaster

    def _hidden(self) -> frozenset[str]:
        """The arguments that are shown to nobody. Raises ConfigError."""
        unknown = set(self.options.secret) - set(self.fields)
        if unknown:
            raise ConfigError(
                f"{self.name}: secret={sorted(unknown)} names no argument of it; there are: "
                f"{', '.join(self.fields) or 'none'}."
            )
        return frozenset(self.fields if self.options.encrypted else self.options.secret)

    def _isolation(self) -> Isolation:
        asked = self.options.isolation
        if self.is_async:
            if asked is Isolation.THREAD:
                raise ConfigError(f"{self.name} is async: isolation is 'loop' or 'process'.")
            return asked or Isolation.LOOP
        if asked is Isolation.LOOP:
            raise ConfigError(
                f"{self.name} is a plain def: on the event loop it would stop every other job. "
                "Write async def, or leave isolation out."
            )
        if asked is not None:
            return asked
        # A thread cannot be killed; a def job that must end in time gets a process that can.
        return Isolation.PROCESS if self.options.timeout is not None else Isolation.THREAD


def define_function(
    function: Callable[..., Any], name: str | None, options: JobOptions
) -> JobDefinition:
    """A definition from a function; a leading parameter annotated JobContext (or called `ctx`) is
    given the context and is no argument."""
    name = name or function.__name__
    hints = argument_types(function, name)
    parameters = list(inspect.signature(function).parameters.values())
    wants_ctx = bool(parameters) and (
        hints.get(parameters[0].name) is JobContext
        or (parameters[0].name == "ctx" and parameters[0].name not in hints)
    )
    fields: dict[str, tuple[Any, Any]] = {}
    for parameter in parameters[1:] if wants_ctx else parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigError(f"{name}: *{parameter.name} has no fixed names; list the arguments.")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ConfigError(
                f"{name}: {parameter.name} stands before a slash, and arguments are kept by name."
            )
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    names = tuple(fields)
    if wants_ctx:

        def call(ctx: JobContext, arguments: Any) -> Any:
            return function(ctx, **{each: getattr(arguments, each) for each in names})
    else:

        def call(ctx: JobContext, arguments: Any) -> Any:
            return function(**{each: getattr(arguments, each) for each in names})

    return JobDefinition(
        name,
        options,
        fields=fields,
        call=call,
        is_async=inspect.iscoroutinefunction(function),
        result_type=result_type_of(hints.get("return", Any)),
    )


def shown_arguments(arguments: Mapping[str, Any], hidden: Container[str]) -> str:
    """`to='me', password=…`"""
    return ", ".join(
        f"{name}={HIDDEN if name in hidden else repr(value)}" for name, value in arguments.items()
    )


def argument_types(target: Any, name: str) -> dict[str, Any]:
    try:
        return get_type_hints(target)
    except NameError as error:
        raise ConfigError(
            f"{name}: the type of an argument cannot be found ({error}). Import it at the top of "
            "the module, not under TYPE_CHECKING or inside a function."
        ) from None


def result_type_of(hint: Any) -> Any:
    if getattr(hint, "__origin__", None) is Coroutine:
        return hint.__args__[-1]
    return hint
