"""What an app declares of its alerts, what operators set, and the plan that both make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from tabur.alerts.channels import Channel
from tabur.alerts.messages import LANGUAGES
from tabur.alerts.mutes import DAYS, EVERY_RULE, Window, make_window
from tabur.alerts.rules import RULES, Rule, make_rule
from tabur.alerts.state import Policy
from tabur.config import Settings
from tabur.errors import ConfigError
from tabur.jobs.options import check_name
from tabur.model.clock import to_us
from tabur.model.text import shown

if TYPE_CHECKING:
    from tabur.integrations.mail import MailServer

Span = timedelta | float

REPEAT = 4 * 3_600.0
CALM = 180.0
_LONGEST = 366 * 86_400.0


class Plan(msgspec.Struct, frozen=True):
    """What is watched, and whom it is told. `repeat` and `calm` in seconds."""

    rules: tuple[Rule, ...]
    channels: tuple[Channel, ...]
    windows: tuple[Window, ...]
    repeat: float | None
    calm: float
    language: str

    @property
    def policy(self) -> Policy:
        names = tuple(each.name for each in self.channels)
        repeat = None if self.repeat is None else to_us(self.repeat)
        return Policy(repeat, to_us(self.calm), names)


class Alerts:
    """`jobs.alerts`: rules, channels and mute windows. All rules hold by default, each with its
    thresholds; to call one sets them. Every method may raise ConfigError."""

    def __init__(self, settings: Settings, table: Callable[[], Any]) -> None:
        """`table`: [tool.tabur.alerts] of pyproject.toml, read when the plan is made."""
        self._settings = settings
        self._table = table
        self._rules: dict[str, Rule] = {}
        self._off: set[str] = set()
        self._channels: dict[str, Channel] = {}
        self._windows: list[Window] = []
        self._repeat: Span | None = REPEAT
        self._calm: Span = CALM

    # rules

    def backlog(self, *, max: int = 1_000, queue: str | None = None, after: Span = 0) -> None:
        """More than `max` jobs of a queue wait."""
        self._rule("backlog", max=max, queue=queue, after=after)

    def backlog_age(self, *, max: Span = 900, queue: str | None = None, after: Span = 60) -> None:
        """The first in line of a queue was dispatched more than `max` ago."""
        self._rule("backlog_age", max=max, queue=queue, after=after)

    def failure_rate(
        self,
        *,
        percent: float = 10,
        window: Span = 300,
        min: int = 5,
        queue: str | None = None,
        job: str | None = None,
        after: Span = 0,
    ) -> None:
        """Of the jobs that ended within `window`, `percent` have failed, `min` of them at least."""
        given = {"percent": percent, "window": window, "min": min, "queue": queue, "job": job}
        self._rule("failure_rate", after=after, **given)

    def new_error(self, *, window: Span = 3_600, after: Span = 0) -> None:
        """A job failed with an error of a new kind; over when it stays away for `window`."""
        self._rule("new_error", window=window, after=after)

    def no_worker(self, *, queue: str | None = None, after: Span = 120) -> None:
        """Jobs wait on a queue that no worker works."""
        self._rule("no_worker", queue=queue, after=after)

    def dead_scheduler(self, *, max: Span = 120, after: Span = 0) -> None:
        """There are schedules, and no scheduler was seen for `max`."""
        self._rule("dead_scheduler", max=max, after=after)

    def missed_tick(self, *, window: Span = 3_600, after: Span = 0) -> None:
        """A schedule has missed a tick within `window`."""
        self._rule("missed_tick", window=window, after=after)

    def stuck_job(
        self,
        *,
        times: float = 2,
        max: Span | None = None,
        queue: str | None = None,
        after: Span = 0,
    ) -> None:
        """A job has been running for more than `times` its timeout, or for more than `max`."""
        self._rule("stuck_job", times=times, max=max, queue=queue, after=after)

    def disk(
        self,
        *,
        percent: float = 90,
        free: int | None = None,
        paths: Sequence[str] = (),
        after: Span = 0,
    ) -> None:
        """A disk that Tabur writes to, or one of `paths`, is `percent` full or more, unless `free`
        bytes are left."""
        given = {"percent": percent, "free": free, "paths": [str(path) for path in paths]}
        self._rule("disk", after=after, **given)

    def off(self, *rules: str) -> None:
        """Leave rules out, by name."""
        self._off |= {_known_rule(rule) for rule in rules}

    def timing(self, *, repeat: Span | None = REPEAT, resolve_after: Span = CALM) -> None:
        """`repeat`: how often an alert is told again while it lasts, None: never; `resolve_after`:
        how long it has to stay away until it is over."""
        self._repeat = None if repeat is None else _seconds(repeat, "repeat")
        self._calm = _seconds(resolve_after, "resolve_after")

    def mute_daily(
        self,
        start: str,
        end: str,
        *,
        days: str | Sequence[str] = DAYS,
        timezone: str = "UTC",
        rule: str = EVERY_RULE,
        queue: str | None = None,
    ) -> None:
        """Tell nobody from one time of the day to another, which may be of the day after: of all
        rules or of one, of all queues or of one."""
        if rule != EVERY_RULE:
            _known_rule(rule)
        self._windows.append(
            make_window(start, end, days=days, timezone=timezone, rule=rule, queue=queue)
        )

    # channels

    def email(self, *to: str, name: str = "email", locale: str | None = None) -> None:
        """Mail to these addresses, by the mail server of the settings MAIL_…."""
        from tabur.alerts.channels.email import EmailChannel
        from tabur.integrations.mail import check_address

        if not to:
            raise ConfigError("Mail to whom? Write an address, or several.")
        addresses = [check_address(each, "to") for each in to]
        server = mail_server(self._settings)
        self._channel(name, EmailChannel(name, self._language(locale), server, addresses))

    def webhook(
        self, url: str, *, secret: str, name: str = "webhook", locale: str | None = None
    ) -> None:
        """POST each alert, signed as Standard Webhooks has it; `secret` as `whsec_…`."""
        from tabur.alerts.channels.webhook import WebhookChannel

        self._channel(name, WebhookChannel(name, self._language(locale), url, secret))

    def slack(self, url: str, *, name: str = "slack", locale: str | None = None) -> None:
        """An incoming webhook of Slack, Mattermost, Rocket.Chat, or Discord's `/slack`."""
        from tabur.alerts.channels.slack import SlackChannel

        self._channel(name, SlackChannel(name, self._language(locale), url))

    def apprise(self, url: str, *, name: str = "apprise", locale: str | None = None) -> None:
        """Any address of apprise. It needs `pip install 'tabur[alerts]'`."""
        from tabur.alerts.channels.apprise import AppriseChannel

        self._channel(name, AppriseChannel(name, self._language(locale), url))

    # what comes of it

    @property
    def is_declared(self) -> bool:
        """Whether the app has said anything here."""
        said = (self._rules, self._off, self._channels, self._windows)
        return any(said) or (self._repeat, self._calm) != (REPEAT, CALM)

    def plan(self) -> Plan:
        """All that was declared, and what pyproject.toml and the environment add to it: a rule
        there replaces one of the same name (and queue) here."""
        whole = Alerts(self._settings, dict)
        whole._rules = dict(self._rules)
        whole._off = set(self._off)
        whole._channels = dict(self._channels)
        whole._windows = list(self._windows)
        whole._repeat, whole._calm = self._repeat, self._calm
        whole._take_settings()
        whole._take_table(self._table())
        rules = {each: make_rule(kind, {}) for each, kind in _defaults().items()}
        rules |= whole._rules
        return Plan(
            rules=tuple(rule for rule in rules.values() if rule.name not in whole._off),
            channels=tuple(whole._channels.values()),
            windows=tuple(whole._windows),
            repeat=None if whole._repeat is None else _seconds(whole._repeat, "repeat"),
            calm=_seconds(whole._calm, "resolve_after"),
            language=self._language(None),
        )

    def _take_settings(self) -> None:
        settings = self._settings
        if settings.alert_email:
            to = [each.strip() for each in settings.alert_email.split(",")]
            self.email(*filter(None, to), name=self._free("email"))
        if settings.alert_webhook_url:
            self.webhook(
                settings.alert_webhook_url,
                secret=settings.alert_webhook_secret or "",
                name=self._free("webhook"),
            )
        if settings.alert_slack_url:
            self.slack(settings.alert_slack_url, name=self._free("slack"))
        for url in (settings.alert_urls or "").split():
            self.apprise(url, name=self._free("apprise"))

    def _take_table(self, table: Any) -> None:
        if not isinstance(table, Mapping):
            raise ConfigError("[tool.tabur.alerts] in pyproject.toml has to be a table.")
        for name, value in table.items():
            try:
                self._take(name, value)
            except ConfigError as error:
                raise ConfigError(f"pyproject.toml, [tool.tabur.alerts]: {error}") from None

    def _take(self, name: str, value: Any) -> None:
        if name == "repeat":
            self._repeat = None if value is False else _seconds(value, name)
        elif name == "resolve_after":
            self._calm = _seconds(value, name)
        elif name == "email":
            to = value if isinstance(value, list) else [value]
            self.email(*to, name=self._free("email"))
        elif name == "mute":
            for each in value if isinstance(value, list) else [value]:
                self._take_window(each)
        elif name in ("webhook", "slack", "apprise"):
            raise ConfigError(
                f"{name} does not belong into a file that everybody reads: set ALERT_WEBHOOK_URL "
                "and ALERT_WEBHOOK_SECRET, ALERT_SLACK_URL, or ALERT_URLS."
            )
        elif value is False:
            self.off(name)
        else:
            _known_rule(name)
            self._off.discard(name)
            for each in value if isinstance(value, list) else [value]:
                if not isinstance(each, Mapping):
                    raise ConfigError(f"{name}: write a table such as {{ after = 60 }}, or false.")
                self._rule(name, **each)

    def _take_window(self, given: Any) -> None:
        known = {"from", "to", "days", "timezone", "rule", "queue"}
        if not isinstance(given, Mapping) or not {"from", "to"} <= set(given) <= known:
            raise ConfigError(
                'mute: write tables such as { from = "02:00", to = "04:00", days = "sat,sun", '
                'timezone = "Asia/Baghdad", rule = "backlog", queue = "mail" }.'
            )
        rest = {key: value for key, value in given.items() if key not in ("from", "to")}
        self.mute_daily(given["from"], given["to"], **rest)

    def _rule(self, name: str, **given: Any) -> None:
        plain = {
            key: value / timedelta(seconds=1) if isinstance(value, timedelta) else value
            for key, value in given.items()
        }
        try:
            rule = make_rule(RULES[name], plain)
        except msgspec.ValidationError as error:
            what = str(error).replace(" - at `$.", " - at `").replace("Object", "It")
            raise ConfigError(f"{name}: {what}.") from None
        self._rules[rule.identity] = rule

    def _channel(self, name: str, channel: Channel) -> None:
        check_name(name, "name")
        if name in self._channels:
            raise ConfigError(f"Two channels are called {name!r}; give one of them name='…'.")
        self._channels[name] = channel

    def _free(self, kind: str) -> str:
        """A name for a channel that has none."""
        names = (kind, *(f"{kind}-{n}" for n in range(2, len(self._channels) + 3)))
        return next(name for name in names if name not in self._channels)

    def _language(self, given: str | None) -> str:
        language = self._settings.alert_locale if given is None else given
        primary = str(language).replace("_", "-").partition("-")[0].lower()
        if primary not in LANGUAGES:
            raise ConfigError(f"locale={shown(language)}: alerts are written in en and ar.")
        return primary


def mail_server(settings: Settings) -> MailServer:
    from tabur.integrations.mail import MailServer

    return MailServer(
        host=settings.mail_host,
        port=settings.mail_port,
        username=settings.mail_username,
        password=settings.mail_password,
        sender=settings.mail_from,
        encryption=settings.mail_encryption,
    )


def _defaults() -> dict[str, type[Rule]]:
    """Rules by the identity that they have without a queue or a job of their own."""
    return {make_rule(kind, {}).identity: kind for kind in RULES.values()}


def _known_rule(name: Any) -> str:
    if name not in RULES:
        raise ConfigError(f"There is no rule {shown(name)}; there are: {', '.join(RULES)}.")
    return str(name)


def _seconds(given: Any, setting: str) -> float:
    seconds = given / timedelta(seconds=1) if isinstance(given, timedelta) else given
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= _LONGEST:
        raise ConfigError(f"{setting}={shown(given)}: seconds are needed, or a timedelta.")
    return float(seconds)


def known_rules(names: Iterable[str]) -> list[str]:
    """Raises ConfigError for a name that no rule bears."""
    return [_known_rule(name) for name in names]
