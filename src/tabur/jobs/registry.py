"""The jobs of one app, by name; what is not in here is never run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tabur.errors import ConfigError, UnknownJob
from tabur.jobs.definition import JobDefinition


class Registry:
    def __init__(self) -> None:
        self._by_name: dict[str, JobDefinition] = {}
        self._definitions: list[JobDefinition] = []
        self._others: Callable[[], Iterable[JobDefinition]] = tuple

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

    def also(self, others: Callable[[], Iterable[JobDefinition]]) -> None:
        """Where to look for jobs that are complete only when all has been declared: those that
        schedules make."""
        self._others = others

    def __iter__(self) -> Iterator[JobDefinition]:
        yield from self._definitions
        yield from self._others()
