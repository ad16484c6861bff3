"""`options(…)`: what one dispatch does otherwise than the declaration says."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from tabur import ConfigError, Job, JobContext, PendingJob, State, Tabur, exponential
from tabur.model.records import DispatchOptions, JobRecord, decode_options

jobs = Tabur(connection="memory")


@jobs.job(queue="mail", priority=1, expires=60)
def send(order_id: int) -> None: ...


@jobs.register
class Sync(Job[None], queue="sync"):
    table: str = "products"

    def handle(self, ctx: JobContext) -> None: ...


def kept(pending: PendingJob[Any]) -> JobRecord:
    record = jobs.driver.inspection.find(_id(pending))
    assert record is not None
    return record


def test_without_options_the_declaration_holds() -> None:
    record = kept(send(order_id=1))
    assert (record.queue, record.priority, record.state) == ("mail", 1, State.PENDING)
    assert _seconds(record, decode_options(record.options).expires) == 60


def test_each_option_wins_over_the_declaration() -> None:
    record = kept(
        send.options(
            queue="high",
            priority=-5,
            delay=timedelta(minutes=5),
            tries=7,
            backoff=[1, 2],
            timeout=timedelta(seconds=90),
            retry_until=3600,
            expires=timedelta(hours=2),
            tenant="acme",
            user="7",
            locale="ar",
        )(order_id=1)
    )
    assert (record.queue, record.priority, record.state) == ("high", -5, State.SCHEDULED)
    assert (record.tenant, record.user, record.locale) == ("acme", "7", "ar")
    assert _seconds(record, record.due_at) == 300
    options = decode_options(record.options)
    assert (options.tries, options.backoff, options.timeout) == (7, (1.0, 2.0), 90.0)
    assert round(_seconds(record, options.retry_until)) == 3600
    assert round(_seconds(record, options.expires)) == 7200


def test_moments_may_be_given() -> None:
    nine = datetime(2030, 1, 1, 9, tzinfo=ZoneInfo("Asia/Baghdad"))
    six = datetime(2030, 1, 1, 6, tzinfo=UTC)
    record = kept(send.options(at=nine, expires=six, retry_until=nine)(order_id=1))
    due = int(six.timestamp()) * 1_000_000
    assert record.due_at == due
    assert decode_options(record.options) == DispatchOptions(expires=due, retry_until=due)


def test_options_add_up_and_leave_what_they_came_from() -> None:
    high = send.options(queue="high")
    late = high.options(delay=60)
    assert kept(late(order_id=1)).queue == "high"
    assert kept(high(order_id=1)).state is State.PENDING
    assert kept(send(order_id=1)).queue == "mail"


def test_classes_and_pending_jobs_take_them_too() -> None:
    assert kept(Sync().options(queue="high")).queue == "high"
    assert kept(send(order_id=1).options(queue="high").options(priority=3)).priority == 3


def test_none_leaves_the_declaration() -> None:
    assert kept(send.options(queue=None, tenant=None, priority=None)(order_id=1)).queue == "mail"


def test_exponential_backoff_is_kept() -> None:
    record = kept(send.options(backoff=exponential(30, cap=60, jitter=False))(order_id=1))
    assert decode_options(record.options).backoff == exponential(30, cap=60, jitter=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"isolation": "loop"}, "options(isolation) is not known; there are: after_commit, at, "),
        ({"queue": "a,b"}, "queue='a,b': a comma separates queues, so a name has none."),
        ({"delay": -1}, "delay=-1: seconds or a timedelta from 0 to 3650 days is needed."),
        ({"delay": "5"}, "delay='5': seconds or a timedelta from 0 to 3650 days is needed."),
        ({"at": 5}, "at=5: an aware datetime is needed (or use delay=)."),
        (
            {"at": datetime(2030, 1, 1)},  # noqa: DTZ001  # that is the mistake
            "at: 2030-01-01T00:00:00 has no time zone; write datetime(..., tzinfo=ZoneInfo(",
        ),
        ({"expires": datetime(2030, 1, 1)}, "expires: 2030-01-01T00:00:00 has no time zone"),  # noqa: DTZ001  # as above
        ({"retry_until": "soon"}, "retry_until='soon': seconds or a timedelta from 0 to 3650"),
        ({"tries": 1.5}, "tries=1.5: a whole number from 0 to 1000000 is needed."),
        ({"timeout": 0}, "timeout=0: seconds above 0 are needed."),
        ({"backoff": "30"}, "backoff='30' is not understood; write seconds (30), a list"),
        ({"tenant": 7}, "tenant=7: 1 to 200 printable characters are needed."),
        ({"idempotency_key": ""}, "idempotency_key='': 1 to 255 printable characters are needed."),
    ],
)
def test_bad_values_are_refused_where_they_are_written(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        send.options(**options)


def _id(pending: PendingJob[Any]) -> bytes:
    return UUID(pending.dispatch().id).bytes


def _seconds(record: JobRecord, moment: int | None) -> float:
    assert moment is not None
    return (moment - record.created_at) / 1_000_000
