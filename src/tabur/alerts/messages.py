"""What is said of an alert: a title and a text, in English and Arabic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from tabur.alerts.state import Alert, News, Told
from tabur.model.clock import as_datetime

LANGUAGES = ("en", "ar")
#: What the log says whenever a backlog is found; people search for it.
BACKLOG = "Queue backlog detected"


class Message(msgspec.Struct, frozen=True):
    """One piece of news of one alert, ready to be sent. `id` is the same however often it is sent;
    `since` and `at`: when the alert was found first, and when this was decided to be told."""

    id: str
    told: str
    rule: str
    scope: str
    subject: str
    queue: str | None
    values: dict[str, Any]
    since: datetime
    at: datetime
    title: str
    text: str


def message(alert: Alert, news: News, *, environment: str, language: str) -> Message:
    since, at = as_datetime(alert.since), as_datetime(news.at)
    assert since is not None
    assert at is not None
    words = _WORDS[language]
    headline = words[alert.rule](alert.values)
    prefix = words[news.told]
    return Message(
        id=news.id,
        told=news.told.value,
        rule=alert.rule,
        scope=alert.scope,
        subject=alert.subject,
        queue=alert.queue,
        values=alert.values,
        since=since,
        at=at,
        title=f"[{environment}] {prefix}{headline}",
        text="\n".join(_lines(alert, at, language)),
    )


def trial(*, environment: str, language: str, id_: str, at: datetime) -> Message:
    """What `alert:test` sends."""
    words = _WORDS[language]
    return Message(
        id=id_,
        told="test",
        rule="test",
        scope="",
        subject="",
        queue=None,
        values={},
        since=at,
        at=at,
        title=f"[{environment}] {words['test']}",
        text=words["test_text"],
    )


def headline(alert: Alert, language: str = "en") -> str:
    """One line, for lists and logs."""
    text: str = _WORDS[language][alert.rule](alert.values)
    return text


def together(messages: Iterable[Message], *, language: str) -> tuple[str, str]:
    """Several as one: a title, and all their texts."""
    each = list(messages)
    if len(each) == 1:
        return each[0].title, each[0].text
    environment = each[0].title.partition("]")[0]
    title = f"{environment}] {_WORDS[language]['several'].format(count=len(each))}"
    return title, "\n\n".join(f"{one.title}\n{one.text}" for one in each)


def _lines(alert: Alert, at: datetime, language: str) -> Iterator[str]:
    words = _WORDS[language]
    for key, text in words["details"].items():
        value = alert.values.get(key)
        if value not in (None, "", False):
            yield text.format(_shown(key, value))
    if alert.values.get("paused"):
        yield words["paused"]
    yield words["where"].format(alert.scope)
    yield words["since"].format(_moment(as_datetime(alert.since)))
    yield words["at"].format(_moment(at))
    if todo := words["todo"].get(alert.rule):
        yield todo.format_map(_Values(alert.values))


class _Values(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


def _shown(key: str, value: Any) -> str:
    if key == "due_at":
        return _moment(as_datetime(value))
    if key == "free":
        return f"{value / 1e9:,.1f} GB"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: Any) -> str:
    """`90 s`, `15 min`, `2 h`, `3 d`: read alike in both languages."""
    whole = int(seconds or 0)
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= 2 * unit or (whole >= unit and whole % unit == 0):
            return f"{whole // unit} {name}"
    return f"{whole} s"


def _get(values: Mapping[str, Any], key: str) -> Any:
    value = values.get(key)
    return "?" if value is None else value


def _number(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    return f"{value:,}" if isinstance(value, int | float) else "?"


def _of_en(values: Mapping[str, Any]) -> str:
    job = f" of {values['job']}" if values.get("job") else ""
    return job + (f" on queue {values['queue']}" if values.get("queue") else "")


def _of_ar(values: Mapping[str, Any]) -> str:
    job = f" للمهمة {values['job']}" if values.get("job") else ""
    return job + (f" في الطابور {values['queue']}" if values.get("queue") else "")


_ENGLISH: dict[str, Any] = {
    Told.FIRED: "",
    Told.REPEATED: "Still: ",
    Told.RESOLVED: "Resolved: ",
    "several": "{count} alerts",
    "test": "A test of the alerts",
    "test_text": "Nothing is wrong: somebody ran tabur alert:test. This is where alerts will come.",
    "backlog": lambda v: f"{BACKLOG}: {_number(v, 'size')} jobs wait on queue {_get(v, 'queue')}",
    "backlog_age": lambda v: f"Jobs wait for {_span(v.get('seconds'))} on queue {_get(v, 'queue')}",
    "failure_rate": lambda v: f"{_get(v, 'percent')} % of the jobs{_of_en(v)} fail",
    "new_error": lambda v: f"A new kind of error in {_get(v, 'job')}: {_get(v, 'type')}",
    "no_worker": lambda v: f"No worker works queue {_get(v, 'queue')}, where jobs wait",
    "dead_scheduler": lambda v: "No scheduler runs",
    "missed_tick": lambda v: f"Schedule {_get(v, 'schedule')} has missed its time",
    "stuck_job": lambda v: (
        f"{_get(v, 'job')} on queue {_get(v, 'queue')} has been running for "
        f"{_span(v.get('seconds'))}"
    ),
    "disk": lambda v: f"The disk of {_get(v, 'path')} is {_get(v, 'percent')} % full",
    "details": {
        "size": "Jobs that wait: {}",
        "workers": "Worker processes on the queue: {}",
        "failed": "Failed: {}",
        "ended": "Ended in all: {}",
        "type": "Error: {}",
        "message": "It says: {}",
        "job_id": "Job: {}",
        "count": "How many: {}",
        "due_at": "It was due at: {}",
        "reason": "Why: {}",
        "free": "Free: {}",
        "host": "Host: {}",
    },
    "paused": "The queue is paused.",
    "where": "Where: {}",
    "since": "Since: {}",
    "at": "Told at: {}",
    "todo": {
        "backlog": "Start more workers, or see what it waits for: tabur queue:monitor {queue}",
        "backlog_age": "Start more workers, or see what it waits for: tabur queue:monitor {queue}",
        "failure_rate": "Look at what failed: tabur queue:failed",
        "new_error": "Look at it: tabur queue:failed:show {job_id}",
        "no_worker": "Start one: tabur queue:work --queue={queue}",
        "dead_scheduler": "Start one: tabur schedule:work",
        "missed_tick": "Look at its history: tabur schedule:history {schedule}",
        "stuck_job": "Look at it: tabur queue:failed:show {job_id}",
        "disk": "Make room: a full disk stops the store.",
    },
}

_ARABIC: dict[str, Any] = {
    Told.FIRED: "",
    Told.REPEATED: "ما زال قائمًا: ",
    Told.RESOLVED: "انتهى: ",
    "several": "عدد التنبيهات: {count}",
    "test": "تجربة التنبيهات",
    "test_text": "لا مشكلة: شغّل أحدهم الأمر tabur alert:test. إلى هنا ستصل التنبيهات.",
    "backlog": lambda v: (
        f"تراكم في الطابور {_get(v, 'queue')}، عدد المهام المنتظرة: {_number(v, 'size')}"
    ),
    "backlog_age": lambda v: (
        f"المهام في الطابور {_get(v, 'queue')} تنتظر منذ {_span(v.get('seconds'))}"
    ),
    "failure_rate": lambda v: f"نسبة فشل المهام{_of_ar(v)}: {_get(v, 'percent')} %",
    "new_error": lambda v: f"نوع جديد من الأخطاء في {_get(v, 'job')}: {_get(v, 'type')}",
    "no_worker": lambda v: f"لا عامل يعمل على الطابور {_get(v, 'queue')} وفيه مهام منتظرة",
    "dead_scheduler": lambda v: "لا يعمل أي مُجدوِل",
    "missed_tick": lambda v: f"فات موعد الجدولة {_get(v, 'schedule')}",
    "stuck_job": lambda v: (
        f"المهمة {_get(v, 'job')} في الطابور {_get(v, 'queue')} تعمل منذ {_span(v.get('seconds'))}"
    ),
    "disk": lambda v: f"امتلأ القرص الذي فيه {_get(v, 'path')} بنسبة {_get(v, 'percent')} %",
    "details": {
        "size": "عدد المهام المنتظرة: {}",
        "workers": "عدد العمّال على الطابور: {}",
        "failed": "الفاشلة: {}",
        "ended": "المنتهية كلها: {}",
        "type": "الخطأ: {}",
        "message": "نصّه: {}",
        "job_id": "المهمة: {}",
        "count": "العدد: {}",
        "due_at": "كان موعده: {}",
        "reason": "السبب: {}",
        "free": "المساحة الخالية: {}",
        "host": "الجهاز: {}",
    },
    "paused": "الطابور متوقف مؤقتًا.",
    "where": "المكان: {}",
    "since": "منذ: {}",
    "at": "وقت التنبيه: {}",
    "todo": {
        "backlog": "شغّل عمّالًا أكثر، أو انظر ماذا ينتظر: tabur queue:monitor {queue}",
        "backlog_age": "شغّل عمّالًا أكثر، أو انظر ماذا ينتظر: tabur queue:monitor {queue}",
        "failure_rate": "انظر ما الذي فشل: tabur queue:failed",
        "new_error": "انظر إليه: tabur queue:failed:show {job_id}",
        "no_worker": "شغّل عاملًا: tabur queue:work --queue={queue}",
        "dead_scheduler": "شغّل المُجدوِل: tabur schedule:work",
        "missed_tick": "انظر إلى سجلّه: tabur schedule:history {schedule}",
        "stuck_job": "انظر إليها: tabur queue:failed:show {job_id}",
        "disk": "أفرغ مساحة: القرص الممتلئ يوقف المخزن.",
    },
}

_WORDS: dict[str, dict[str, Any]] = {"en": _ENGLISH, "ar": _ARABIC}
