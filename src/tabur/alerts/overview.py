"""What people see of the alerts, and what they do to them: rules, alerts, channels, mutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tabur.alerts.declaring import Plan, known_rules
from tabur.alerts.messages import headline, trial
from tabur.alerts.mutes import DAYS, EVERY_RULE, Mute, Window, is_muted
from tabur.alerts.remembered import Memory
from tabur.alerts.rules import Rule, rule_of
from tabur.alerts.sending import Sending, Sent
from tabur.alerts.state import Alert
from tabur.alerts.watch import Watched
from tabur.errors import ConfigError
from tabur.model.clock import as_datetime, to_us
from tabur.model.ids import new_id
from tabur.model.text import storable

#: Bytes of a mute's reason that are kept.
LONGEST_REASON = 1_000


class AlertShown(msgspec.Struct, frozen=True):
    """An alert as it stands. `untold`: channels that have not told its last news yet."""

    rule: str
    scope: str
    queue: str | None
    phase: str
    since: datetime | None
    told_at: datetime | None
    muted: bool
    what: str
    values: dict[str, Any]
    untold: tuple[str, ...]


class RuleShown(msgspec.Struct, frozen=True):
    """A rule. `state`: ok, waiting, firing or muted; `since`: of its oldest alert."""

    rule: str
    of: str
    thresholds: dict[str, Any]
    state: str
    since: datetime | None
    alerts: int


class ChannelShown(msgspec.Struct, frozen=True):
    """A channel. `error`: why it fails, since `failing_since`."""

    name: str
    kind: str
    locale: str
    failing_since: datetime | None = None
    error: str | None = None


class MuteShown(msgspec.Struct, frozen=True):
    """A mute. `holds`: now; `every`: when a declared one comes again."""

    rule: str
    queue: str | None
    holds: bool
    until: datetime | None
    every: str | None
    reason: str


class Overview(msgspec.Struct, frozen=True):
    rules: tuple[RuleShown, ...]
    alerts: tuple[AlertShown, ...]
    channels: tuple[ChannelShown, ...]
    mutes: tuple[MuteShown, ...]


def overview(app: Watched) -> Overview:
    """All of it, as it was at the last look. Raises ConfigError, StoreUnavailable,
    SchemaMissing."""
    plan = app.alerts.plan()
    home = app.driver_of(app.connection)
    memory, now = Memory(home.notes), home.now()
    asked = [each.value for each in memory.mutes() if each.value.holds(now)]
    mutes: list[Mute | Window] = [*plan.windows, *asked]
    alerts = sorted((each.value for each in memory.alerts().values()), key=lambda a: a.since)
    return Overview(
        rules=tuple(_rule(rule, plan, alerts, mutes, now) for rule in plan.rules),
        alerts=tuple(_alert(each, mutes, now) for each in alerts),
        channels=tuple(
            _channel(each.name, each.kind, each.language, memory) for each in plan.channels
        ),
        mutes=tuple(_mute(each, now) for each in mutes),
    )


def shown(alerts: Iterable[Alert], muted: frozenset[str]) -> list[AlertShown]:
    return [_shown(each, muted=each.key in muted) for each in alerts]


def mute(
    app: Watched, rule: str, *, queue: str | None, lasting: timedelta | None, reason: str
) -> None:
    """Tell nobody of a rule (`all`: of any), of all queues or of one; `lasting` None: until it is
    ended. One that is there is replaced. Raises ConfigError for a rule that is not known."""
    _check(rule)
    home = app.driver_of(app.connection)
    memory, now = Memory(home.notes), home.now()
    until = None if lasting is None else now + to_us(lasting)
    made = Mute(rule, queue, now, until, storable(reason, limit=LONGEST_REASON))
    memory.change(lambda: memory.mute(rule, queue), lambda before: made)


def unmute(app: Watched, rule: str, *, queue: str | None) -> bool:
    """End a mute. False where there was none; of what is declared, none is ended."""
    _check(rule)
    memory = Memory(app.driver_of(app.connection).notes)
    there = memory.mute(rule, queue).value is not None
    memory.change(lambda: memory.mute(rule, queue), lambda before: None)
    return there


def unmute_all(app: Watched) -> int:
    """End every mute. Answers how many."""
    memory = Memory(app.driver_of(app.connection).notes)
    return sum(memory.keep(each, None) for each in memory.mutes())


def try_out(app: Watched, name: str | None = None) -> dict[str, Sent]:
    """Send a test by every channel, or by one. Answers what came of it, by name. Raises ConfigError
    where there is no such channel, or none at all."""
    plan = app.alerts.plan()
    channels = {each.name: each for each in plan.channels if name in (None, each.name)}
    if not channels:
        known = ", ".join(each.name for each in plan.channels)
        raise ConfigError(
            f"There is no channel {name!r}; there are: {known}."
            if known
            else "No channel is declared: write jobs.alerts.email('you@shop.example'), or set "
            "ALERT_EMAIL, ALERT_WEBHOOK_URL, ALERT_SLACK_URL or ALERT_URLS."
        )
    at = datetime.now(UTC)  # a store that does not answer is no reason not to try a channel
    post = {
        each.name: [
            trial(
                environment=app.settings.env,
                language=each.language,
                id_=f"msg_{new_id().hex()}",
                at=at,
            )
        ]
        for each in channels.values()
    }
    return Sending(channels).send(post)


def _check(rule: str) -> None:
    if rule != EVERY_RULE:
        known_rules([rule])


def _rule(
    rule: Rule, plan: Plan, alerts: Iterable[Alert], mutes: list[Mute | Window], now: int
) -> RuleShown:
    own = [
        each
        for each in alerts
        if each.rule == rule.name and rule_of(plan.rules, each.rule, each.queue) is rule
    ]
    firing = [each for each in own if each.is_firing]
    thresholds = {
        field: value
        for field in rule.__struct_fields__
        if (value := getattr(rule, field)) not in (None, ()) and field not in ("queue", "job")
    }
    if is_muted(mutes, rule.name, rule.own_queue, now):
        state = "muted"
    else:
        state = "firing" if firing else "waiting" if any(_waits(each) for each in own) else "ok"
    of = " ".join(filter(None, (getattr(rule, "queue", None), getattr(rule, "job", None))))
    since = min((each.since for each in firing), default=None)
    return RuleShown(rule.name, of, thresholds, state, as_datetime(since), len(firing))


def _waits(alert: Alert) -> bool:
    return alert.phase.value == "waiting"


def _alert(alert: Alert, mutes: list[Mute | Window], now: int) -> AlertShown:
    return _shown(alert, muted=is_muted(mutes, alert.rule, alert.queue, now))


def _shown(alert: Alert, *, muted: bool) -> AlertShown:
    return AlertShown(
        rule=alert.rule,
        scope=alert.scope,
        queue=alert.queue,
        phase=alert.phase.value,
        since=as_datetime(alert.since),
        told_at=as_datetime(alert.told_at),
        muted=muted,
        what=headline(alert),
        values=alert.values,
        untold=alert.news.to if alert.news else (),
    )


def _channel(name: str, kind: str, language: str, memory: Memory) -> ChannelShown:
    state = memory.channel(name).value
    if state is None:
        return ChannelShown(name, kind, language)
    return ChannelShown(name, kind, language, as_datetime(state.since), state.error)


def _mute(each: Mute | Window, now: int) -> MuteShown:
    if isinstance(each, Mute):
        until = as_datetime(each.until)
        return MuteShown(each.rule, each.queue, True, until, None, each.reason)
    days = "every day" if len(each.days) == 7 else ",".join(DAYS[day] for day in each.days)
    every = f"{each.start:%H:%M}-{each.end:%H:%M} {days} ({each.timezone})"
    return MuteShown(each.rule, each.queue, each.holds(now), None, every, "")


def texts_of(thresholds: dict[str, Any]) -> Iterator[str]:
    """`max 1,000`, `after 60`."""
    for name, value in thresholds.items():
        if isinstance(value, float):
            yield f"{name} {value:,g}"
        elif isinstance(value, tuple):
            yield f"{name} {', '.join(value)}"
        else:
            yield f"{name} {value:,}"
