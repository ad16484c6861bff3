"""Declaring jobs: what is refused is refused where it stands, and says what to write instead."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tabur import ConfigError, Job, JobContext, Tabur, UnknownJob
from tabur.jobs.options import DeclaredOptions
from tabur.model.states import Isolation

if TYPE_CHECKING:
    from decimal import Decimal


@pytest.fixture
def jobs() -> Tabur:
    return Tabur(connection="memory")


def refused(text: str) -> Any:
    return pytest.raises(ConfigError, match=f"^{re.escape(text)}")


def test_a_function_is_called_by_its_own_name(jobs: Tabur) -> None:
    @jobs.job()
    def send(order_id: int) -> None:
        """Sends the confirmation."""

    assert (send.definition.name, repr(send)) == ("send", "<job send>")
    assert send.__doc__ == "Sends the confirmation."
    assert repr(send(order_id=7)) == "send(order_id=7)"


def test_a_name_may_be_given(jobs: Tabur) -> None:
    @jobs.job(name="orders.send")
    def send() -> None: ...

    assert send.dispatch().status().name == "orders.send"


def test_two_jobs_of_one_name_are_refused(jobs: Tabur) -> None:
    jobs.job(name="send")(_nothing)
    with refused("Two jobs are called 'send'. Give one of them name='…'"):
        jobs.job(name="send")(_nothing)


def test_an_alias_counts_as_a_name(jobs: Tabur) -> None:
    jobs.job(name="send", aliases=["mail"])(_nothing)
    with refused("Two jobs are called 'mail'"):
        jobs.job(name="mail")(_nothing)
    with refused("Two jobs are called 'send'"):
        jobs.job(name="other", aliases=["send"])(_nothing)


def test_an_alias_leads_to_the_job(jobs: Tabur) -> None:
    send = jobs.job(name="send", aliases=("mail",))(_nothing)
    assert jobs.registry.get("mail") is send.definition
    assert [each.name for each in jobs.registry] == ["send"]


def test_two_apps_do_not_know_each_others_jobs(jobs: Tabur) -> None:
    other = Tabur(connection="memory")
    jobs.job(name="send")(_nothing)
    other.job(name="send")(_nothing)
    jobs.job(name="mail")(_nothing)
    with pytest.raises(UnknownJob, match=r"No job is called 'mail' in this app\. Was it renamed\?"):
        other.registry.get("mail")


def test_open_ended_arguments_are_refused(jobs: Tabur) -> None:
    def positional(*rows: int) -> None: ...
    def named(**rows: int) -> None: ...
    def before_a_slash(row: int, /) -> None: ...

    with refused("positional: *rows has no fixed names; list the arguments."):
        jobs.job()(positional)
    with refused("named: *rows has no fixed names; list the arguments."):
        jobs.job()(named)
    with refused("before_a_slash: row stands before a slash, and arguments are kept by name."):
        jobs.job()(before_a_slash)


def test_a_type_that_is_not_there_at_run_time_is_refused(jobs: Tabur) -> None:
    def charge(amount: Decimal) -> None: ...

    with refused("charge: the type of an argument cannot be found (name 'Decimal' is not defined)"):
        jobs.job()(charge)
    with pytest.raises(ConfigError, match="not under TYPE_CHECKING or inside a function"):

        @jobs.register
        class Charge(Job[None]):
            amount: Decimal

            def handle(self, ctx: JobContext) -> None: ...


def test_a_plain_def_does_not_run_on_the_loop(jobs: Tabur) -> None:
    def plain() -> None: ...

    with refused("plain is a plain def: on the event loop it would stop every other job."):
        jobs.job(isolation="loop")(plain)


def test_async_def_does_not_run_in_a_thread(jobs: Tabur) -> None:
    async def coroutine() -> None: ...

    with refused("coroutine is async: isolation is 'loop' or 'process'."):
        jobs.job(isolation="thread")(coroutine)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Isolation.THREAD),
        ({"timeout": 60}, Isolation.PROCESS),
        ({"timeout": 60, "isolation": "thread"}, Isolation.THREAD),
        ({"isolation": "process"}, Isolation.PROCESS),
    ],
)
def test_where_a_plain_def_runs(jobs: Tabur, options: DeclaredOptions, expected: Isolation) -> None:
    assert jobs.job(**options)(_nothing).definition.isolation is expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, Isolation.LOOP),
        ({"timeout": 60}, Isolation.LOOP),
        ({"isolation": "process"}, Isolation.PROCESS),
    ],
)
def test_where_async_def_runs(jobs: Tabur, options: DeclaredOptions, expected: Isolation) -> None:
    async def coroutine() -> None: ...

    assert jobs.job(**options)(coroutine).definition.isolation is expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"que": "high"}, "unknown option que; there are: aliases, backoff, connection, "),
        ({"name": ""}, "name='': 1 to 200 printable characters are needed."),
        ({"name": "a\nb"}, r"name='a\nb': 1 to 200 printable characters are needed."),
        ({"name": "n" * 201}, f"name='{'n' * 50}"),
        ({"queue": ""}, "queue='': 1 to 200 printable characters are needed."),
        ({"queue": 3}, "queue=3: 1 to 200 printable characters are needed."),
        ({"queue": "high,low"}, "queue='high,low': a comma separates queues, so a name has none."),
        ({"tries": -1}, "tries=-1: a whole number from 0 to 1000000 is needed."),
        ({"tries": "3"}, "tries='3': a whole number from 0 to 1000000 is needed."),
        ({"tries": True}, "tries=True: a whole number from 0 to 1000000 is needed."),
        ({"backoff": "30"}, "backoff='30' is not understood; write seconds (30), a list"),
        ({"backoff": []}, "backoff=[] is not understood; write seconds (30), a list"),
        ({"backoff": -1}, "backoff=-1: seconds must be a number from 0 to 315360000."),
        ({"backoff": [30, None]}, "backoff=None: seconds must be a number from 0 to"),
        ({"backoff": float("nan")}, "backoff=nan: seconds must be a number from 0 to"),
        ({"timeout": 0}, "timeout=0: seconds above 0 are needed."),
        ({"timeout": "60"}, "timeout='60': seconds or a timedelta from 0 to 3650 days is needed."),
        ({"timeout": float("inf")}, "timeout=inf: seconds or a timedelta from 0 to 3650 days"),
        ({"max_exceptions": 0}, "max_exceptions=0: a whole number from 1 to 1000000 is needed."),
        ({"retry_until": -1}, "retry_until=-1: seconds or a timedelta from 0 to 3650 days"),
        ({"expires": timedelta(days=9999)}, "expires=datetime.timedelta(days=9999): seconds or"),
        ({"priority": 1.5}, "priority=1.5: a whole number from -1000000 to 1000000 is needed."),
        ({"isolation": "fork"}, "isolation='fork' is not known; there are: loop, thread, process."),
        ({"never_retry": (3,)}, "never_retry=3: exception classes are needed."),
        ({"never_retry": [ValueError, int]}, "never_retry=<class 'int'>: exception classes are"),
        ({"fail_on_timeout": 1}, "fail_on_timeout=1: True or False is needed."),
        ({"owner_may_retry": "no"}, "owner_may_retry='no': True or False is needed."),
        ({"aliases": "mail"}, "aliases='mail': a list of names is needed."),
        ({"aliases": [""]}, "alias='': 1 to 200 printable characters are needed."),
    ],
)
def test_a_bad_option_is_refused_with_the_jobs_name(
    jobs: Tabur, options: dict[str, Any], message: str
) -> None:
    with refused(f"_nothing: {message}"):
        jobs.job(**options)(_nothing)
    assert not list(jobs.registry)


def test_a_class_says_its_name_when_an_option_is_bad(jobs: Tabur) -> None:
    class Sync(Job[None], tries=-1):
        def handle(self, ctx: JobContext) -> None: ...

    with refused("Sync: tries=-1: a whole number from 0 to 1000000 is needed."):
        jobs.register(Sync)


@pytest.mark.parametrize("option", sorted(DeclaredOptions.__annotations__))
def test_an_option_as_class_attribute_is_refused(option: str) -> None:
    with refused(f"Sync.{option}: options are class keywords; as an attribute it would become"):
        type("Sync", (Job,), {option: None})
    with refused(f"Sync.{option}: options are class keywords"):
        type("Sync", (Job,), {"__annotations__": {option: int}})


def test_options_of_a_class_are_inherited(jobs: Tabur) -> None:
    class Base(Job[int], queue="sync", tries=10):
        table: str

    @jobs.register
    class Products(Base, tries=3):
        limit: int = 500

        def handle(self, ctx: JobContext) -> int:
            return self.limit

    options = Products.__tabur_definition__.options  # type: ignore[union-attr]  # registered
    assert (options.queue, options.tries) == ("sync", 3)
    assert Products(table="products").run() == 500


def test_a_name_is_not_inherited(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[int], name="sync", aliases=["old_sync"], queue="low"):
        def handle(self, ctx: JobContext) -> int:
            return 1

    @jobs.register
    class Resync(Sync):
        def handle(self, ctx: JobContext) -> int:
            return 2

    status = Resync().dispatch().status()
    assert (status.name, status.queue) == ("Resync", "low")
    assert [each.name for each in jobs.registry] == ["sync", "Resync"]


def test_a_subclass_is_registered_by_itself(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[int]):
        def handle(self, ctx: JobContext) -> int:
            return 1

    class Resync(Sync):
        def handle(self, ctx: JobContext) -> int:
            return 2

    with refused("Resync belongs to no app yet."):
        Resync().dispatch()


def test_a_class_needs_handle(jobs: Tabur) -> None:
    class Empty(Job[None]):
        pass

    with refused("Empty needs a method: def handle(self, ctx: JobContext)."):
        jobs.register(Empty)


def test_a_class_of_no_app_cannot_be_dispatched() -> None:
    class Alone(Job[None]):
        def handle(self, ctx: JobContext) -> None: ...

    with refused("Alone belongs to no app yet. Put @jobs.register above the class."):
        Alone().dispatch()


def test_fields_may_have_default_factories(jobs: Tabur) -> None:
    @jobs.register
    class Sync(Job[int]):
        tables: list[str] = field(default_factory=lambda: ["products"])

        def handle(self, ctx: JobContext) -> int:
            return len(self.tables)

    assert Sync().run() == 1
    assert Sync(tables=[]).run() == 0


def test_what_the_context_is(jobs: Tabur) -> None:
    def by_type(context: JobContext, n: int) -> str:
        return f"{context.name} {n}"

    def by_name(ctx, n: int):  # type: ignore[no-untyped-def]  # the point
        return f"{ctx.name} {n}"

    def not_first(n: int, ctx: int) -> int:
        return n + ctx

    assert jobs.job()(by_type)(n=1).run() == "by_type 1"
    assert jobs.job()(by_name)(n=2).run() == "by_name 2"
    assert jobs.job()(not_first)(n=3, ctx=4).run() == 7


def test_declaring_imports_no_driver(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from tabur import Tabur\n"
        "jobs = Tabur(database_url='sqlite:///jobs.sqlite3')\n"
        "@jobs.job(queue='mail')\n"
        "def send(order_id: int) -> None: ...\n"
        "send(order_id=1)\n"
        "found = [name for name in sys.modules if name.startswith('tabur.drivers.database')]\n"
        "sys.exit(', '.join(found) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert not list(tmp_path.iterdir())


def _nothing() -> None: ...
