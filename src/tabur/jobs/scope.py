"""Who is acting: tenant, user and locale, carried from a request into the jobs it dispatches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Scope(msgspec.Struct, frozen=True):
    tenant: str | None = None
    user: str | None = None
    locale: str | None = None
    traceparent: str | None = None


NOBODY = Scope()


class CurrentScope:
    """The scope of the running thread or coroutine; each app has its own."""

    def __init__(self) -> None:
        self._current: ContextVar[Scope] = ContextVar("tabur_scope", default=NOBODY)

    def get(self) -> Scope:
        return self._current.get()

    @contextmanager
    def entered(self, scope: Scope) -> Iterator[None]:
        before = self._current.set(scope)
        try:
            yield
        finally:
            self._current.reset(before)

    def enter(self, scope: Scope) -> None:
        """As `entered`, for a context that ends with its task."""
        self._current.set(scope)
