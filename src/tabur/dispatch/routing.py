"""Which way jobs go to a connection, by its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabur.config import Settings
from tabur.dispatch.routes import FailoverRoute, Route, StoreRoute
from tabur.drivers.contract import Driver
from tabur.errors import ConfigError


class Routing:
    """Makes the routes of an app. `connections`: those that it says it uses."""

    def __init__(self, settings: Settings, connections: Callable[[], Sequence[str]]) -> None:
        self._settings = settings
        self._connections = connections

    def routes(
        self,
        driver_of: Callable[[str], Driver],
        *,
        run_inline: Callable[[], None] | None = None,
    ) -> Callable[[str | None], Route]:
        """The ways to stores that `driver_of` opens, by the name of a connection, None: to the
        default one; each is made once. `run_inline`: runs what the connection `sync` was given;
        without it, that waits as on any other. They raise ConfigError."""
        made: dict[str, Route] = {}

        def to_store(name: str) -> StoreRoute:
            return StoreRoute(
                lambda: driver_of(name),
                name=name,
                queue=self._settings.queue_on(name),
                run_inline=run_inline if name == "sync" else None,
            )

        def route(connection: str | None) -> Route:
            name = connection or self._settings.connection
            if name not in made:
                self._check(name)
                made[name] = (
                    FailoverRoute([to_store(each) for each in self._settings.failover])
                    if name == "failover"
                    else to_store(name)
                )
            return made[name]

        return route

    def _check(self, name: str) -> None:
        if name == "failover" and not self._settings.failover:
            raise ConfigError(
                "connection='failover' needs to know what to try: failover=['redis', 'database'], "
                "or QUEUE_FAILOVER=redis,database."
            )
        if name != "failover" and name not in self._connections():
            raise ConfigError(
                f"This app does not say that it uses the connection {name!r}, so nobody would look "
                f"for its jobs there: write connections=[{name!r}], or QUEUE_CONNECTIONS={name}."
            )
