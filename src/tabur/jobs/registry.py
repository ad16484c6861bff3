"""The jobs of one app, by name; what is not in here is never run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tabur.errors import ConfigError, UnknownJob
from tabur.jobs.definition import JobDefinition
from tabur.jobs.middleware import Call, Handle, Middleware, handles_of, through


class Registry:
    def __init__(self) -> None:
        self._by_name: dict[str, JobDefinition] = {}
        self._definitions: list[JobDefinition] = []
        self._others: Callable[[], Iterable[JobDefinition]] = tuple
        self._around: dict[bool, tuple[Handle, ...]] = {}
        """What all jobs go through, by whether they are `async def`."""

    def add(self, definition: JobDefinition) -> None:
        """Raises ConfigError where the name or an alias is taken."""
        names = (definition.name, *definition.options.aliases)
        for name in names:
            if name in self._by_name:
                raise ConfigError(
                    f"Two jobs are called {name!r}. Give one of them name='…': a job in the store "
                    "is found by its name."
                )
        self._definitions.append(definition)
        self._by_name |= dict.fromkeys(names, definition)

    def get(self, name: str) -> JobDefinition:
        """Raises UnknownJob."""
        try:
            return self._by_name[name]
        except KeyError:
            for each in self._others():
                if each.name == name:
                    return each
            raise UnknownJob(name) from None

    def around_all(self, middleware: Iterable[Middleware]) -> None:
        """Let every job go through these too, inside those of before. Raises ConfigError."""
        found = tuple(middleware)
        more = {is_async: handles_of(found, is_async=is_async) for is_async in (False, True)}
        self._around = {kind: self._around.get(kind, ()) + more[kind] for kind in more}

    def call(self, definition: JobDefinition) -> Call:
        """What runs a job in a worker. Those without middleware do not pay for it."""
        if not definition.handles and not self._around:
            return definition.call
        around = self._around.get(definition.is_async, ())
        return through((*around, *definition.handles), definition.call)

    def also(self, others: Callable[[], Iterable[JobDefinition]]) -> None:
        """Where to look for jobs that are complete only when all has been declared: those that
        schedules make."""
        self._others = others

    def __iter__(self) -> Iterator[JobDefinition]:
        yield from self._definitions
        yield from self._others()
