"""Events between modules: told in the teller's transaction, so both happen or neither."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.orm import Session

Event = TypeVar("Event")


class Events:
    """Who listens to what. Filled by wiring, read by the services that tell."""

    def __init__(self) -> None:
        self._listeners: defaultdict[type, list[Callable[[Session, Any], None]]] = defaultdict(list)

    def on(self, kind: type[Event], listener: Callable[[Session, Event], None]) -> None:
        self._listeners[kind].append(listener)

    def tell(self, session: Session, event: object) -> None:
        """Runs the listeners in `session`; what one of them raises undoes the teller's work too."""
        for listener in self._listeners[type(event)]:
            listener(session, event)
