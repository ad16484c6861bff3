"""Jobs of yesterday's code meet today's: other names, other arguments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from tabur import Job, JobContext, State, Tabur
from tabur.jobs.handle import JobStatus
from tabur.worker.inline import drain
from tests.maintenance.conftest import MakeApp, place_of


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "redis"])
def place(request: pytest.FixtureRequest) -> Any:
    """A store that outlives the app, so that the next one finds its jobs."""
    return place_of(request.param, request)


@dataclass(frozen=True)
class Span:
    first: date
    months: int = 1


def worked(app: Tabur, job_id: str) -> JobStatus:
    drain(app.runtime)
    return app.handle(job_id).status()


def failure(status: JobStatus) -> tuple[str, str]:
    assert status.state is State.FAILED
    assert status.error is not None
    return status.error.type, status.error.message


def test_a_renamed_job_fails_with_the_alias_to_write_and_runs_once_it_is_there(
    make_app: MakeApp,
) -> None:
    before = make_app()

    @before.job(name="send")
    def send(to: str) -> str:
        return to

    lost = send.dispatch("a")
    failed = worked(make_app(), lost.id)
    assert failure(failed)[0] == "UnknownJob"
    assert "aliases=['send']" in failure(failed)[1]
    assert failed.attempt == 0  # it never started

    after = make_app()

    @after.job(name="deliver", aliases=["send"])
    def deliver(to: str) -> str:
        return f"to {to}"

    assert after.handle(lost.id).retry()
    found = worked(after, lost.id)
    assert (found.state, found.result, found.name) == (State.COMPLETED, "to a", "send")


def test_a_renamed_class_likewise(make_app: MakeApp) -> None:
    before = make_app()

    @before.register
    class SyncStock(Job[int]):
        shop: int

        def handle(self, ctx: JobContext) -> int:
            return self.shop

    lost = SyncStock(shop=7).dispatch()
    assert "aliases=['SyncStock']" in failure(worked(make_app(), lost.id))[1]

    after = make_app()

    @after.register
    class SyncShop(Job[int], aliases=["SyncStock"]):
        shop: int

        def handle(self, ctx: JobContext) -> int:
            return self.shop

    assert after.handle(lost.id).retry()
    assert worked(after, lost.id).result == 7


def old_order(app: Tabur, number: str = "A-7") -> str:
    """A job of the first version's arguments."""

    @app.job(name="order")
    def order(number: str) -> None: ...

    return order.dispatch(number).id


def test_old_arguments_go_from_version_to_version(make_app: MakeApp) -> None:
    old, middle = old_order(make_app()), make_app()

    @middle.job(name="order", version=2)
    def of_version_2(shop: str, number: int) -> None: ...

    second = of_version_2.dispatch("B", 8).id
    app = make_app()

    @app.job(name="order", version=3)
    def order(shop: str, number: int, day: date, urgent: bool = False) -> str:
        return f"{shop} {number} {day} {urgent}"

    @order.upcast(1)
    def apart(old: dict[str, Any]) -> dict[str, Any]:
        shop, _, number = old["number"].partition("-")
        return {"shop": shop, "number": int(number)}

    @order.upcast(2)
    def dated(old: dict[str, Any]) -> dict[str, Any]:
        return old | {"day": date(2026, 1, 1)}

    new = order.dispatch("C", 9, date(2027, 2, 2), urgent=True).id
    assert worked(app, old).result == "A 7 2026-01-01 False"
    assert worked(app, second).result == "B 8 2026-01-01 False"
    assert worked(app, new).result == "C 9 2027-02-02 True"


def test_a_version_without_an_upcaster_is_taken_as_the_next(make_app: MakeApp) -> None:
    old, app = old_order(make_app()), make_app()

    @app.job(name="order", version=3)
    def order(number: str, note: str = "none") -> str:
        return f"{number} {note}"

    @order.upcast(2)
    def marked(old: dict[str, Any]) -> dict[str, Any]:
        return old | {"note": "from 2"}

    assert worked(app, old).result == "A-7 from 2"


def test_fields_of_a_class_are_brought_on(make_app: MakeApp) -> None:
    before = make_app()

    @before.register
    class Old(Job[None], name="Export"):
        month: str

        def handle(self, ctx: JobContext) -> None: ...

    old, app = Old(month="2026-01").dispatch().id, make_app()

    @app.register
    class Export(Job[str], version=2):
        span: Span

        def handle(self, ctx: JobContext) -> str:
            return f"{self.span.first} {self.span.months}"

    @Export.upcast(1)
    def spans(old: dict[str, Any]) -> dict[str, Any]:
        return {"span": {"first": f"{old['month']}-01"}}

    assert worked(app, old).result == "2026-01-01 1"


def test_what_cannot_be_brought_on_fails_with_the_reason_and_runs_after_the_repair(
    make_app: MakeApp,
) -> None:
    old, broken = old_order(make_app(), "Z"), make_app()

    @broken.job(name="order", version=2)
    def slip(number: int) -> int:
        return number

    @slip.upcast(1)
    def slips(old: dict[str, Any]) -> dict[str, Any]:
        return {"number": int(old["number"])}

    neighbour = slip.dispatch(4).id
    failed = worked(broken, old)
    kind, message = failure(failed)
    assert kind == "PayloadError"
    assert "order: the upcaster of its arguments of version 1 does not do: ValueError" in message
    assert failed.attempt == 0
    assert worked(broken, neighbour).result == 4

    mended = make_app()

    @mended.job(name="order", version=2)
    def order(number: int) -> int:
        return number

    @order.upcast(1)
    def by_letter(old: dict[str, Any]) -> dict[str, Any]:
        return {"number": ord(old["number"])}

    assert mended.handle(old).retry()
    assert worked(mended, old).result == 90


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "a NoneType came out, not a dict"),
        ({"number": "x"}, "order: Expected `int`, got `str`"),
        ({"number": object()}, "order, after upcasting: a builtins.object cannot be kept"),
        ({}, "missing required field `number`"),
        ({"number": 1, "more": 2}, "unknown field `more`"),
    ],
)
def test_an_upcaster_that_answers_nonsense(make_app: MakeApp, answer: Any, reason: str) -> None:
    old, app = old_order(make_app()), make_app()

    @app.job(name="order", version=2)
    def order(number: int) -> None: ...

    @order.upcast(1)
    def nonsense(old: dict[str, Any]) -> dict[str, Any]:
        return answer  # type: ignore[no-any-return]  # that is the point

    assert reason in failure(worked(app, old))[1]


def test_the_failed_hook_gets_arguments_of_today(make_app: MakeApp) -> None:
    before = make_app()

    @before.register
    class Old(Job[None], name="Import"):
        path: str

        def handle(self, ctx: JobContext) -> None: ...

    old, app, told = Old(path="a.csv").dispatch().id, make_app(), []

    @app.register
    class Import(Job[None], version=2):
        paths: list[str]

        def handle(self, ctx: JobContext) -> None:
            raise ValueError(self.paths)

        def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append(self.paths)

    @Import.upcast(1)
    def several(old: dict[str, Any]) -> dict[str, Any]:
        return {"paths": [old["path"]]}

    assert failure(worked(app, old))[0] == "ValueError"
    assert told == [["a.csv"]]
