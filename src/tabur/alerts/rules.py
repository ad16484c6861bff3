"""The rules. Each is its thresholds, and a pure function from a reading to what it objects to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from tabur.alerts.readings import Finding, Reading
from tabur.model.clock import SECOND

Count = Annotated[int, Meta(ge=1, le=10**9)]
Seconds = Annotated[float, Meta(gt=0, le=365 * 86_400)]
Wait = Annotated[float, Meta(ge=0, le=86_400)]
Percent = Annotated[float, Meta(gt=0, lt=100)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`after`: seconds that what it objects to has to last before anybody is told."""

    name: ClassVar[str]
    of_host: ClassVar[bool] = False
    """Whether it is about the host that looks, not about a store."""
    after: Wait = 0

    @property
    def own_queue(self) -> str | None:
        """The queue that it is for alone, in place of the rule for all."""
        return None

    @property
    def identity(self) -> str:
        """Of two rules with the same, the later one stands."""
        return self.name

    def findings(self, reading: Reading) -> Iterable[Finding]:
        raise NotImplementedError


class QueueRule(Rule, frozen=True, kw_only=True):
    """Judges each queue. `queue`: this one alone, in place of the rule for all."""

    queue: Name | None = None

    @property
    def own_queue(self) -> str | None:
        return self.queue

    @property
    def identity(self) -> str:
        return f"{self.name} {self.queue or '*'}"


class Backlog(QueueRule, frozen=True, kw_only=True):
    """More than `max` jobs of a queue could run now, and wait."""

    name = "backlog"
    max: Count = 1_000

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for line in reading.lines:
            if line.pending > self.max:
                values = {
                    "queue": line.queue,
                    "size": line.pending,
                    "max": self.max,
                    "workers": line.workers,
                    "paused": line.paused,
                }
                yield Finding(self.name, reading.scope, line.queue, line.queue, values)


class BacklogAge(QueueRule, frozen=True, kw_only=True):
    """The first in line of a queue was dispatched more than `max` seconds ago. One that was to run
    later counts from its dispatch too: hence `after`."""

    name = "backlog_age"
    max: Seconds = 900
    after: Wait = 60

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for line in reading.lines:
            if line.oldest is None:
                continue
            age = (reading.now - line.oldest) / SECOND
            if age > self.max:
                values = {
                    "queue": line.queue,
                    "seconds": int(age),
                    "max": self.max,
                    "size": line.pending,
                    "paused": line.paused,
                }
                yield Finding(self.name, reading.scope, line.queue, line.queue, values)


class FailureRate(Rule, frozen=True, kw_only=True):
    """Of the jobs that ended within `window` seconds, `percent` or more have failed for good, and
    at least `min` of them."""

    name = "failure_rate"
    percent: Percent = 10
    window: Seconds = 300
    min: Count = 5
    queue: Name | None = None
    """Of this queue alone, beside the rule for all."""
    job: Name | None = None
    """Of this job alone, beside the others."""

    @property
    def identity(self) -> str:
        return f"{self.name} {self.queue or '*'} {self.job or '*'}"

    @property
    def asks(self) -> str:
        return f"{self.queue or '*'} {self.job or '*'} {self.window:g}"

    def findings(self, reading: Reading) -> Iterator[Finding]:
        ends = reading.ends.get(self.asks)
        if ends is None or ends.failed < self.min:
            return
        percent = 100 * ends.failed / (ends.failed + ends.completed)
        if percent >= self.percent:
            values = {
                "queue": self.queue,
                "job": self.job,
                "failed": ends.failed,
                "ended": ends.failed + ends.completed,
                "percent": round(percent, 1),
                "seconds": int(ends.seconds),
            }
            subject = " ".join(filter(None, (self.queue, self.job)))
            yield Finding(self.name, reading.scope, subject, self.queue, values)


class NewError(Rule, frozen=True, kw_only=True):
    """A job has failed for good with an error of a kind that was not seen before. It is over when
    the kind has not come again for `window` seconds."""

    name = "new_error"
    window: Seconds = 3_600

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for kind in reading.kinds:
            if kind.is_new and reading.now - kind.last <= self.window * SECOND:
                values = {}
                if kind.job is not None:
                    values = {
                        "queue": kind.queue,
                        "job": kind.job,
                        "type": kind.type,
                        "message": kind.message,
                        "job_id": kind.job_id,
                    }
                yield Finding(self.name, reading.scope, kind.fingerprint, kind.queue, values)


class NoWorker(QueueRule, frozen=True, kw_only=True):
    """Jobs wait on a queue that no worker works. (A queue that is paused is left out.)"""

    name = "no_worker"
    after: Wait = 120

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for line in reading.lines:
            if line.pending and not line.workers and not line.paused:
                values = {"queue": line.queue, "size": line.pending}
                yield Finding(self.name, reading.scope, line.queue, line.queue, values)


class DeadScheduler(Rule, frozen=True, kw_only=True):
    """There are schedules, and no scheduler has been seen for `max` seconds."""

    name = "dead_scheduler"
    max: Seconds = 120

    def findings(self, reading: Reading) -> Iterator[Finding]:
        seen = reading.scheduler_seen
        if not reading.schedules:
            return
        if seen is None or reading.now - seen > self.max * SECOND:
            seconds = None if seen is None else (reading.now - seen) // SECOND
            values = {"seconds": seconds, "max": self.max}
            yield Finding(self.name, reading.scope, values=values)


class MissedTick(Rule, frozen=True, kw_only=True):
    """A tick of a schedule was missed within the last `window` seconds."""

    name = "missed_tick"
    window: Seconds = 3_600

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for each in reading.missed:
            values = {
                "schedule": each.schedule,
                "count": each.count,
                "due_at": each.due_at,
                "reason": each.reason,
            }
            yield Finding(self.name, reading.scope, each.schedule, values=values)


class StuckJob(QueueRule, frozen=True, kw_only=True):
    """A job has been running for more than `times` its timeout, or for more than `max` seconds."""

    name = "stuck_job"
    times: Annotated[float, Meta(ge=1, le=1_000)] = 2
    max: Seconds | None = None

    def findings(self, reading: Reading) -> Iterator[Finding]:
        by_queue: dict[str, list[tuple[int, str, str]]] = {}
        for job in reading.running:
            limits = [self.max, None if job.timeout is None else job.timeout * self.times]
            limit = min((each for each in limits if each is not None), default=None)
            seconds = (reading.now - job.since) // SECOND
            if limit is not None and seconds > limit:
                by_queue.setdefault(job.queue, []).append((seconds, job.id, job.name))
        for queue, stuck in by_queue.items():
            seconds, job_id, name = max(stuck)
            values = {
                "queue": queue,
                "count": len(stuck),
                "job": name,
                "job_id": job_id,
                "seconds": seconds,
            }
            yield Finding(self.name, reading.scope, queue, queue, values)


class DiskFull(Rule, frozen=True, kw_only=True):
    """Of a disk that Tabur writes to on the host that looks, or of one of `paths`, `percent` or
    more is full. Not where `free` bytes are left, if that is given."""

    name = "disk"
    of_host = True
    percent: Percent = 90
    free: Count | None = None
    paths: tuple[Name, ...] = ()

    def findings(self, reading: Reading) -> Iterator[Finding]:
        for disk in reading.disks:
            used = 100 * (disk.total - disk.free) / disk.total if disk.total else 100.0
            if used >= self.percent and not (self.free is not None and disk.free >= self.free):
                values = {"path": disk.path, "free": disk.free, "percent": round(used, 1)}
                values |= {"host": reading.scope.partition(":")[2]}
                yield Finding(self.name, reading.scope, disk.path, values=values)


RULES: dict[str, type[Rule]] = {
    each.name: each
    for each in (
        *(Backlog, BacklogAge, FailureRate, NewError, NoWorker),
        *(DeadScheduler, MissedTick, StuckJob, DiskFull),
    )
}


def evaluate(rules: Sequence[Rule], reading: Reading) -> list[Finding]:
    """What the rules object to, each thing once."""
    found: dict[str, Finding] = {}
    for rule in rules:
        for finding in rule.findings(reading):
            if isinstance(rule, QueueRule) and rule_of(rules, rule.name, finding.queue) is not rule:
                continue
            found.setdefault(finding.key, finding)
    return list(found.values())


def rule_of(rules: Iterable[Rule], name: str, queue: str | None) -> Rule | None:
    """The rule of this name that judges this queue: its own, or that of all."""
    named = [rule for rule in rules if rule.name == name]
    for rule in named:
        if rule.own_queue is not None and rule.own_queue == queue:
            return rule
    return next((rule for rule in named if rule.own_queue is None), None)


def make_rule(kind: type[Rule], given: dict[str, Any]) -> Rule:
    """Raises msgspec.ValidationError, which says what is wrong with which field."""
    return msgspec.convert(given, kind)
