"""What an app does by the clock: its schedules, and what it watches for alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tabur.app.connected import Connected
from tabur.config import Settings, project_table
from tabur.errors import ConfigError

if TYPE_CHECKING:
    from tabur.alerts.declaring import Alerts
    from tabur.scheduler.loop import Chore, Scheduler
    from tabur.scheduler.making import Maker
    from tabur.scheduler.schedule import Schedule
    from tabur.scheduler.stored import StoredSchedules


class Scheduled(Connected):
    """Its scheduler and its alerts, imported when they are asked for."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._alerts: Alerts | None = None
        self._schedule: Schedule | None = None

    @property
    def schedule(self) -> Schedule:
        """Where schedules are declared: `@jobs.schedule.daily_at("2:00")` above a job or function,
        `jobs.schedule.job(sync(shop=1)).every_five_minutes()`."""
        if self._schedule is None:
            from tabur.scheduler.outside import Outside
            from tabur.scheduler.schedule import Schedule

            outside = Outside(self.settings, lambda: self.spec)
            self._schedule = Schedule(outside, timezone=self.settings.timezone)
            self.registry.also(self._schedule.jobs)
        return self._schedule

    @property
    def schedules(self) -> StoredSchedules:
        """Schedules in the store: made, edited, paused and deleted at run time."""
        from tabur.scheduler.stored import StoredSchedules

        return StoredSchedules(
            connection=self._store_name(None),
            connections=lambda: self.connections,
            driver_of=self.driver_of,
            maker_of=self.maker,
            timezone=self.settings.timezone,
        )

    def scheduler(self, *, say: Callable[[str], None], chores: Sequence[Chore] = ()) -> Scheduler:
        """A scheduler of all connections, not begun. `say`: where it tells what it starts;
        `chores`: what it does beside. Raises ConfigError for schedules that are not complete."""
        from tabur.scheduler.loop import Scheduler, new_name
        from tabur.scheduler.ticker import Ticker

        for each in self.schedule.declared().values():
            if self._store_name(each.connection) not in self.connections:
                raise ConfigError(
                    f"The schedule {each.name!r} is for the connection {each.connection!r}, which "
                    f"this app does not say that it uses: QUEUE_CONNECTIONS={each.connection}."
                )
        name = new_name()
        tickers = []
        for connection in self.connections:
            declared = {
                each.name: each
                for each in self.schedule.declared().values()
                if self._store_name(each.connection) == connection
                and (not each.environments or self.settings.env in each.environments)
            }
            tickers.append(
                Ticker(
                    self.driver_of(connection),
                    declared,
                    self.maker(connection),
                    name=name,
                    say=say,
                    drain=self._run_inline if connection == "sync" else None,
                )
            )
        return Scheduler(tickers, say=say, chores=chores, version=self.settings.version)

    def chores(self) -> list[Chore]:
        """What a scheduler does beside its ticks."""
        from tabur.scheduler.loop import Chore

        chores: list[Chore] = []
        if self.has_alerts:
            from tabur.alerts.chore import EVERY, alert_chore

            chores.append(Chore("Looking for alerts", EVERY, alert_chore(self)))
        return chores

    def maker(self, connection: str | None) -> Maker:
        """Makes the jobs of schedules on a connection, None: the default one."""
        from tabur.scheduler.making import Maker

        name = self._store_name(connection)
        queue, code = self.settings.queue_on(name), self.settings.version
        return Maker(self.registry, self._sending, queue=queue, code=code)

    def _store_name(self, connection: str | None) -> str:
        """The connection whose store a job of this one is kept in."""
        name = connection or self.connection
        return self.settings.failover[0] if name == "failover" else name

    @property
    def alerts(self) -> Alerts:
        """What is watched, and whom it is told: `jobs.alerts.backlog(max=500, queue="mail")`,
        `jobs.alerts.email("ops@shop.example")`."""
        if self._alerts is None:
            from tabur.alerts.declaring import Alerts

            self._alerts = Alerts(self.settings, lambda: project_table().get("alerts", {}))
        return self._alerts

    @property
    def has_alerts(self) -> bool:
        """Whether anything is said of alerts: in code, in the environment or in pyproject.toml."""
        if self._alerts is not None and self._alerts.is_declared:
            return True
        settings = self.settings
        set_ = (settings.alert_email, settings.alert_webhook_url, settings.alert_slack_url)
        if any(set_) or settings.alert_urls:
            return True
        try:
            return "alerts" in project_table(mentioning="alerts")
        except ConfigError:
            return True  # whoever watches says what is wrong with it, and no scheduler ends by it
