"""What is remembered of an alert, and how it goes on: pure. Moments in microseconds.

waiting → firing → resolved → forgotten. It is told when it fires, again every `repeat` while it
lasts, and when it is resolved, which takes that it stays away for a while: what comes and goes is
one alert.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from tabur.alerts.readings import Finding
from tabur.model.clock import SECOND

#: News that could not be told for so long are given up, once the alert is over.
_GIVEN_UP = 86_400 * SECOND
#: An alert that nobody looked after for so long is forgotten: its host, or its connection, is gone.
ABANDONED = 86_400 * SECOND
#: How often it is written that somebody looked, where nothing has changed.
_LOOKED = 600 * SECOND


class Phase(StrEnum):
    WAITING = "waiting"
    """It has not lasted long enough, or is muted, and nobody has been told."""
    FIRING = "firing"
    RESOLVED = "resolved"


class Told(StrEnum):
    """What is told of an alert."""

    FIRED = "fired"
    REPEATED = "repeated"
    RESOLVED = "resolved"


class News(msgspec.Struct, frozen=True):
    """What is to be told. `id` is the same however often it is tried; `to`: the channels that have
    not told it yet; `claimed_until`: somebody is telling it until then at the latest."""

    id: str
    told: Told
    at: int
    to: tuple[str, ...]
    claimed_until: int = 0


class Alert(msgspec.Struct, frozen=True):
    """One alert. `since`: when it was found first; `told_at`: when it was last decided to tell it;
    `away`: since when it has not been found."""

    rule: str
    scope: str
    subject: str
    queue: str | None
    values: dict[str, Any]
    since: int
    looked_at: int
    phase: Phase = Phase.WAITING
    told_at: int | None = None
    away: int | None = None
    news: News | None = None

    @property
    def key(self) -> str:
        return f"{self.rule}/{self.scope}/{self.subject}"

    @property
    def is_firing(self) -> bool:
        return self.phase is Phase.FIRING


class Policy(msgspec.Struct, frozen=True):
    """Spans in microseconds. `repeat`: None never tells twice; `calm`: how long it has to stay away
    until it is resolved."""

    repeat: int | None
    calm: int
    channels: tuple[str, ...] = ()


def go_on(
    alert: Alert | None,
    finding: Finding | None,
    policy: Policy,
    *,
    now: int,
    after: int = 0,
    muted: bool = False,
) -> Alert | None:
    """An alert after one look; None: there is nothing to remember.

    `after`: how long it has to last before it is told; `muted`: nobody is to be told that it
    fires. That it is resolved is told nevertheless, to those who know of it.
    """
    if finding is not None:
        return _found(alert, finding, policy, now=now, after=after, muted=muted)
    if alert is None or alert.phase is Phase.WAITING:
        return None
    if alert.is_firing:
        return _away(alert, policy, now)
    news = alert.news
    if news is None or not _left(news, policy.channels) or now - news.at > _GIVEN_UP:
        return None
    return _looked(alert, now)


def claim(
    alert: Alert, channels: Collection[str], *, now: int, lasting: int, muted: bool
) -> Alert | None:
    """The alert with its news claimed, for who is going to tell them now; None: there is nothing
    to tell, or somebody else is about it."""
    news = alert.news
    if news is None or news.claimed_until > now or not _left(news, channels):
        return None
    if muted and news.told is not Told.RESOLVED:
        return None
    left = _left(news, channels)
    return replace(alert, news=replace(news, to=left, claimed_until=now + lasting))


def told(alert: Alert, news_id: str, channels: Collection[str]) -> Alert | None:
    """The alert after `channels` have told its news, if they are its news still; None: it is over
    and told, so that there is nothing to remember."""
    news = alert.news
    if news is None or news.id != news_id:
        return alert
    left = tuple(each for each in news.to if each not in channels)
    if not left and alert.phase is Phase.RESOLVED:
        return None
    return replace(alert, news=replace(news, to=left, claimed_until=0) if left else None)


def _found(
    alert: Alert | None, finding: Finding, policy: Policy, *, now: int, after: int, muted: bool
) -> Alert:
    if alert is None or alert.phase is Phase.RESOLVED:
        alert = Alert(
            rule=finding.rule,
            scope=finding.scope,
            subject=finding.subject,
            queue=finding.queue,
            values=finding.values,
            since=now,
            looked_at=now,
        )
    if alert.phase is Phase.WAITING:
        if muted or now - alert.since < after:
            return _looked(alert, now)
        fires = replace(alert, phase=Phase.FIRING, told_at=now, looked_at=now, away=None)
        return _tell(_with_values(fires, finding), Told.FIRED, policy, now)
    if alert.away is not None:
        alert = replace(alert, away=None, looked_at=now)
    due = policy.repeat is not None and now - (alert.told_at or 0) >= policy.repeat
    if due and not muted:
        again = replace(alert, told_at=now, looked_at=now)
        return _tell(_with_values(again, finding), Told.REPEATED, policy, now)
    return _looked(alert, now)


def _away(alert: Alert, policy: Policy, now: int) -> Alert:
    if alert.away is None:
        return replace(alert, away=now, looked_at=now)
    if now - alert.away < policy.calm:
        return _looked(alert, now)
    over = replace(alert, phase=Phase.RESOLVED, told_at=now, looked_at=now)
    return _tell(over, Told.RESOLVED, policy, now)


def _tell(alert: Alert, what: Told, policy: Policy, now: int) -> Alert:
    if not policy.channels:
        return replace(alert, news=None)
    text = f"{alert.key}\0{alert.since}\0{what}\0{now}"
    name = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return replace(alert, news=News(f"msg_{name}", what, now, policy.channels))


def _with_values(alert: Alert, finding: Finding) -> Alert:
    if not finding.values:
        return alert
    return replace(alert, values=finding.values, queue=finding.queue)


def _looked(alert: Alert, now: int) -> Alert:
    return replace(alert, looked_at=now) if now - alert.looked_at >= _LOOKED else alert


def _left(news: News, channels: Collection[str]) -> tuple[str, ...]:
    return tuple(each for each in news.to if each in channels)
