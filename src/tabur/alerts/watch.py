"""`Watch`: one look at everything, what it changes of what is remembered, and who is told."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from tabur.alerts.declaring import Alerts, Plan
from tabur.alerts.kinds import pack, unpack
from tabur.alerts.looking import StoreLook, host_reading
from tabur.alerts.messages import Message, headline, message
from tabur.alerts.mutes import Mute, Window, is_muted
from tabur.alerts.readings import Finding, Reading
from tabur.alerts.remembered import ChannelState, KindsSeen, Looks, Memory, Remembered
from tabur.alerts.rules import evaluate, rule_of
from tabur.alerts.sending import PATIENCE, Sending, Sent
from tabur.alerts.state import ABANDONED, Alert, Phase, claim, go_on, told
from tabur.config import Settings
from tabur.drivers.contract import Driver
from tabur.errors import StoreError
from tabur.jobs.registry import Registry
from tabur.model.clock import SECOND, to_us

_log = logging.getLogger("tabur.alerts")

#: Seconds between two looks.
EVERY = 60.0
#: Who comes so much sooner after the last look than that (a part of it) leaves it to the next.
_EARLY = 0.75
#: Seconds for which news are claimed by who sends them; after that another tries.
_CLAIMED = 2 * PATIENCE + 30


class Watched(Protocol):
    """What watching needs of an app."""

    settings: Settings
    registry: Registry

    @property
    def alerts(self) -> Alerts: ...
    @property
    def connection(self) -> str: ...
    @property
    def connections(self) -> tuple[str, ...]: ...
    def driver_of(self, connection: str) -> Driver: ...


class Looked(msgspec.Struct, frozen=True):
    """What came of a look. `looked`: False where somebody had just looked; `sent`: by channel;
    `unread`: connections that could not be looked at, and why; `muted`: keys of alerts that are."""

    looked: bool
    alerts: tuple[Alert, ...] = ()
    sent: dict[str, Sent] = {}
    unread: dict[str, str] = {}
    muted: frozenset[str] = frozenset()

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Those that somebody is to care for now."""
        return tuple(each for each in self.alerts if each.is_firing and each.key not in self.muted)


class Watch:
    """Looks at the stores of an app and at this host. Any number may look at once, on any number of
    hosts: each piece of news is sent by one of them, and again only if that one died over it.

    What is remembered lies in the store of the default connection.
    """

    def __init__(
        self,
        app: Watched,
        *,
        every: float = EVERY,
        patience: float = PATIENCE,
        host: str | None = None,
    ) -> None:
        """Raises ConfigError where the declaration is wrong."""
        self._app = app
        self.plan: Plan = app.alerts.plan()
        self._every = every
        self._host = socket.gethostname() if host is None else host
        self._channels = {each.name: each for each in self.plan.channels}
        self._sending = Sending(self._channels, patience=patience)

    def look(self, *, force: bool = False) -> Looked:
        """One look: what is found is remembered, and told where it is to be. Where somebody looked
        just before, it is left at that, unless with `force`. Raises StoreUnavailable or
        SchemaMissing of the default connection."""
        home = self._app.driver_of(self._app.connection)
        memory = Memory(home.notes)
        now = home.now()
        shared = self._is_its_turn(memory, "all", now) or force
        own = self._is_its_turn(memory, f"host:{self._host}", now) or force
        if not (shared or own):
            return Looked(looked=False)
        readings, unread = self._readings(memory, now, shared=shared, own=own)
        turn = _Turn(self.plan, memory, self._live_mutes(memory, now), now)
        turn.go_through(readings, shared=shared)
        sent = self._tell(memory, turn.claimed)
        memory.read()
        alerts = tuple(each.value for each in memory.alerts().values())
        muted = frozenset(each.key for each in alerts if turn.is_muted(each))
        return Looked(True, alerts, sent, unread, muted)

    def _is_its_turn(self, memory: Memory, of: str, now: int) -> bool:
        seen = memory.looks(of)
        ago = None if seen.value is None else now - seen.value.at
        if ago is not None and 0 <= ago < self._every * _EARLY * SECOND:
            return False
        return memory.keep(seen, Looks(now))

    def _readings(
        self, memory: Memory, now: int, *, shared: bool, own: bool
    ) -> tuple[list[Reading], dict[str, str]]:
        readings: list[Reading] = []
        unread: dict[str, str] = {}
        for name in self._app.connections if shared else ():
            if name == "sync":
                continue  # its jobs run where they are dispatched
            try:
                readings.append(self._read_store(memory, self._app.driver_of(name)))
            except StoreError as error:
                unread[name] = str(error)
                _log.warning("alerts: %s cannot be looked at: %s", name, error)
        if own:
            rules, settings = self.plan.rules, self._app.settings
            readings.append(host_reading(self._host, rules, settings, now))
        return readings, unread

    def _read_store(self, memory: Memory, driver: Driver) -> Reading:
        beats, kinds = memory.beats(driver.name), memory.kinds(driver.name)
        look = StoreLook(
            driver,
            self.plan.rules,
            self._app.registry,
            self._app.settings,
            beats=beats.value or {},
            kinds=unpack(kinds.value.kinds) if kinds.value else {},
            failures_at=kinds.value.at if kinds.value else None,
        )
        reading = look.reading()
        memory.keep(beats, look.beats or None)
        if look.failures_at is not None:
            memory.keep(kinds, KindsSeen(look.failures_at, pack(look.kinds)))
        return reading

    def _live_mutes(self, memory: Memory, now: int) -> list[Mute | Window]:
        mutes: list[Mute | Window] = list(self.plan.windows)
        for each in memory.mutes():
            if each.value.holds(now):
                mutes.append(each.value)
            else:
                memory.keep(each, None)
        return mutes

    def _tell(self, memory: Memory, alerts: Sequence[Alert]) -> dict[str, Sent]:
        post: dict[str, list[Message]] = {}
        for alert in alerts:
            assert alert.news is not None
            for name in alert.news.to:
                language = self._channels[name].language
                environment = self._app.settings.env
                said = message(alert, alert.news, environment=environment, language=language)
                post.setdefault(name, []).append(said)
        if not post:
            return {}
        sent = self._sending.send(post)
        memory.read()
        for alert in alerts:
            self._settle(memory, alert, sent)
        for name, done in sent.items():
            self._note_channel(memory, name, done)
        return sent

    def _settle(self, memory: Memory, alert: Alert, sent: Mapping[str, Sent]) -> None:
        assert alert.news is not None
        news_id = alert.news.id
        done = [name for name, each in sent.items() if news_id in each.ids]
        memory.change(
            lambda: memory.alert(alert.key),
            lambda now_there: None if now_there is None else told(now_there, news_id, done),
        )

    def _note_channel(self, memory: Memory, name: str, done: Sent) -> None:
        """Say once that a channel fails, whoever has seen it, and once that it works again."""
        seen = memory.channel(name)
        if done.error is None:
            if seen.value is not None and memory.keep(seen, None):
                _log.info("alerts: channel %s works again", name)
        elif seen.value is None:
            now = self._app.driver_of(self._app.connection).now()
            if memory.keep(seen, ChannelState(now, done.error)):
                _log.warning(
                    "alerts: channel %s fails, what it missed is tried again: %s", name, done.error
                )


class _Turn:
    """What one look changes of the alerts that are remembered."""

    def __init__(
        self, plan: Plan, memory: Memory, mutes: Sequence[Mute | Window], now: int
    ) -> None:
        self._plan, self._memory, self._mutes, self._now = plan, memory, mutes, now
        self.claimed: list[Alert] = []
        """Whose news this look is to tell."""

    def is_muted(self, each: Alert | Finding) -> bool:
        return is_muted(self._mutes, each.rule, each.queue, self._now)

    def go_through(self, readings: Iterable[Reading], *, shared: bool) -> None:
        known: dict[str, Alert] = {}
        for key, each in self._memory.alerts().items():
            if self._is_abandoned(each.value, shared=shared):
                self._memory.keep(each, None)
            else:
                known[key] = each.value
        for reading in readings:
            found = {each.key: each for each in evaluate(self._plan.rules, reading)}
            looked_at = [key for key, alert in known.items() if alert.scope == reading.scope]
            for key in dict.fromkeys([*looked_at, *found]):
                self._one(self._memory.alert(key), found.get(key))

    def _is_abandoned(self, alert: Alert, *, shared: bool) -> bool:
        if shared and all(rule.name != alert.rule for rule in self._plan.rules):
            return True
        return self._now - alert.looked_at > ABANDONED

    def _one(self, seen: Remembered[Alert | None], finding: Finding | None) -> None:
        before = seen.value
        about = finding or before
        assert about is not None
        queue = about.queue if before is None or about.queue is not None else before.queue
        rule = rule_of(self._plan.rules, about.rule, queue)
        muted = is_muted(self._mutes, about.rule, queue, self._now)
        after = go_on(
            before,
            finding,
            self._plan.policy,
            now=self._now,
            after=to_us(rule.after) if rule else 0,
            muted=muted,
        )
        channels, lasting = self._plan.policy.channels, to_us(_CLAIMED)
        claimed = after and claim(after, channels, now=self._now, lasting=lasting, muted=muted)
        if not self._memory.keep(seen, claimed or after):
            return  # another one was quicker, and tells it
        if after is not None:
            _log_change(before, after)
        if claimed is not None:
            self.claimed.append(claimed)


def _log_change(before: Alert | None, after: Alert) -> None:
    if before is not None and before.told_at == after.told_at:
        return
    if after.phase is Phase.FIRING:
        _log.warning("%s", headline(after), extra={"alert": after.key, "values": after.values})
    elif after.phase is Phase.RESOLVED:
        _log.info("Resolved: %s", headline(after), extra={"alert": after.key})
