"""What happens around a scheduled run: callbacks, pings, output to files and by mail."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tabur import Job, JobCancelled, JobContext, Tabur
from tabur.scheduler.hooks import ScheduledRun
from tests.worker.workshop import Workshop, make_workshop, until

pytestmark = pytest.mark.timeout(120)


class Mailbox:
    """A real SMTP server. `refuses`: what it answers to every recipient."""

    def __init__(self) -> None:
        from aiosmtpd.controller import Controller

        self.mails: list[Message] = []
        self.refuses = ""
        self._controller = Controller(self, hostname="127.0.0.1", port=_free_port())
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's
        self, server: Any, session: Any, envelope: Any, to: str, options: Any
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"

    def close(self) -> None:
        self._controller.stop()

    def bodies(self) -> list[str]:
        payloads: list[Any] = [mail.get_payload(decode=True) for mail in self.mails]
        return [each.decode().replace("\r\n", "\n") for each in payloads]


class Monitor:
    """A real HTTP server that counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's
                monitor.asked.append(self.path)
                self.send_response(500 if self.path == "/broken" else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    made = Mailbox()
    yield made
    made.close()


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    made = Monitor()
    yield made
    made.close()


@pytest.fixture
def jobs(mailbox: Mailbox) -> Tabur:
    """On `sync`: what is dispatched runs at once, on a worker's own path."""
    return Tabur("sync", mail_port=mailbox.port, mail_from="Shop <shop@example.com>")


def run(jobs: Tabur) -> None:
    """Dispatch the one schedule there is, in a scheduler of its own."""
    (name,) = jobs.schedule.declared()
    scheduler = jobs.scheduler(say=lambda text: None)
    scheduler._loops[0].begin()
    jobs.maker(None).pending(jobs.schedule.declared()[name].definition.job).dispatch()


# callbacks and pings


def test_the_order_of_a_run_that_succeeds(jobs: Tabur, monitor: Monitor) -> None:
    told: list[Any] = []
    (
        jobs.schedule.call(lambda: told.append("runs"))
        .name("it")
        .daily()
        .before(lambda: told.append("before"))
        .after(lambda: told.append("after"))
        .on_success(lambda run: told.append(run.schedule))
        .on_failure(lambda: told.append("failed"))
        .ping_before(monitor.url + "/before")
        .then_ping(monitor.url + "/then")
        .ping_on_success(monitor.url + "/good")
        .ping_on_failure(monitor.url + "/bad")
    )
    run(jobs)
    assert told == ["before", "runs", "it", "after"]
    assert monitor.asked == ["/before", "/good", "/then"]


def test_the_order_of_a_run_that_fails(jobs: Tabur, monitor: Monitor) -> None:
    told: list[Any] = []

    def breaks() -> None:
        raise ValueError("no stock")

    (
        jobs.schedule.call(breaks)
        .daily()
        .then(lambda: told.append("after"))
        .on_success(lambda: told.append("good"))
        .on_failure(lambda run: told.append(run.error))
        .then_ping(monitor.url + "/then")
        .ping_on_success(monitor.url + "/good")
        .ping_on_failure(monitor.url + "/bad")
    )
    run(jobs)
    assert told == ["no stock", "after"]
    assert monitor.asked == ["/bad", "/then"]


def test_a_job_fails_once_however_often_it_is_tried(jobs: Tabur) -> None:
    told: list[str] = []

    @jobs.job(tries=3)
    def flaky() -> None:
        told.append("runs")
        raise ValueError("again")

    jobs.schedule.job(flaky).daily().on_failure(lambda: told.append("failed"))
    run(jobs)
    assert told == ["runs", "runs", "runs", "failed"]


def test_what_a_job_does_when_it_fails_is_done_too(jobs: Tabur) -> None:
    told: list[str] = []

    @jobs.register
    class Fails(Job[None]):
        def handle(self, ctx: JobContext) -> None:
            raise ValueError("x")

        async def failed(self, ctx: JobContext, error: BaseException) -> None:
            told.append("its own")

    jobs.schedule.job(Fails).daily().on_failure(lambda: told.append("the schedule's"))
    run(jobs)
    assert told == ["its own", "the schedule's"]


def test_an_async_job_and_async_callbacks(jobs: Tabur, monitor: Monitor) -> None:
    told: list[str] = []

    async def late(run: ScheduledRun) -> None:
        await asyncio.sleep(0)
        told.append(f"after {run.schedule}")

    @jobs.job()
    async def light() -> int:
        told.append("runs")
        return 3

    jobs.schedule.job(light).daily().after(late).ping_before(monitor.url + "/x")
    run(jobs)
    assert told == ["runs", "after light"]
    assert monitor.asked == ["/x"]


def test_before_may_stop_a_run(jobs: Tabur) -> None:
    told: list[str] = []

    def refuse() -> None:
        raise OSError("the disk is full")

    entry = jobs.schedule.call(lambda: told.append("runs")).name("it").daily().before(refuse)
    entry.on_failure(lambda run: told.append(run.error or ""))
    run(jobs)
    assert told == ["the disk is full"]


def test_what_goes_wrong_around_it_changes_nothing(
    jobs: Tabur, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def breaks() -> None:
        raise ValueError("in a callback")

    (
        jobs.schedule.call(lambda: told.append("runs"))
        .name("it")
        .daily()
        .ping_before(monitor.url + "/broken")
        .ping_on_success("http://127.0.0.1:1/nobody")
        .on_success(breaks)
        .on_success(lambda: told.append("good"))
        .on_failure(lambda: told.append("failed"))
    )
    run(jobs)
    assert told == ["runs", "good"]
    assert "127.0.0.1 answered 500" in caplog.text
    assert "127.0.0.1 did not answer" in caplog.text
    assert "A callback of the schedule it raised" in caplog.text


# output


def test_output_to_a_file(jobs: Tabur, tmp_path: Path) -> None:
    file = tmp_path / "logs" / "out.txt"
    told: list[str] = []
    entry = jobs.schedule.exec("echo one; echo two >&2").name("it").daily()
    entry.send_output_to(file).on_success(lambda run: told.append(run.output))
    run(jobs)
    run(jobs)
    assert file.read_text("utf-8") == "one\ntwo\n"
    assert told == ["one\ntwo"] * 2


def test_output_behind_what_is_there(jobs: Tabur, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    jobs.schedule.exec("echo one").name("it").daily().append_output_to(file)
    run(jobs)
    run(jobs)
    assert file.read_text("utf-8") == "one\none\n"


def test_output_by_mail(jobs: Tabur, mailbox: Mailbox) -> None:
    entry = jobs.schedule.exec("echo نسخة; echo done").name("backup").daily()
    entry.email_output_to("owner@example.com", "Second <second@example.com>")
    run(jobs)
    (mail,) = mailbox.mails
    assert (mail["From"], mail["Subject"]) == ("Shop <shop@example.com>", "Output: backup")
    assert mail["To"] == "owner@example.com, Second <second@example.com>"
    (body,) = mailbox.bodies()
    assert "نسخة\ndone" in body
    assert "done after" in body


@pytest.mark.parametrize("line", ["echo broken; exit 3", "exit 0"])
def test_mail_only_of_a_failure(jobs: Tabur, mailbox: Mailbox, line: str) -> None:
    jobs.schedule.exec(line).name("it").daily().email_output_on_failure("owner@example.com")
    run(jobs)
    if line == "exit 0":
        assert mailbox.mails == []
    else:
        (mail,) = mailbox.mails
        assert mail["Subject"] == "Failed: it"
        assert "failed with exit code 3" in mailbox.bodies()[0]
        assert "broken" in mailbox.bodies()[0]


def test_mail_that_is_refused_fails_no_run(
    jobs: Tabur, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.refuses = "550 no such user"
    told: list[str] = []
    entry = jobs.schedule.exec("echo x").name("it").daily().email_output_to("nobody@example.com")
    entry.on_success(lambda: told.append("good"))
    run(jobs)
    assert told == ["good"]
    assert "the mail to nobody@example.com was not sent" in caplog.text


def test_very_much_output_keeps_its_end(jobs: Tabur, tmp_path: Path) -> None:
    file = tmp_path / "out.txt"
    told: list[str] = []
    line = f"{sys.executable} -c \"print('x' * 3_000_000); print('the end')\""
    entry = jobs.schedule.exec(line).name("it").daily().send_output_to(file)
    entry.on_success(lambda run: told.append(run.output))
    run(jobs)
    assert file.stat().st_size == 3_000_000 + len("\nthe end\n")
    assert told[0].endswith("the end")
    assert len(told[0]) <= 4_000


def test_output_that_is_no_text(jobs: Tabur) -> None:
    told: list[str] = []
    entry = jobs.schedule.exec(r"printf '\377\000ok'").name("it").daily()
    entry.on_success(lambda run: told.append(run.output))
    run(jobs)
    assert told[0].endswith("ok")


def test_what_stays_in_the_background_is_not_waited_for(jobs: Tabur) -> None:
    began = time.monotonic()
    told: list[str] = []
    entry = jobs.schedule.exec("sleep 20 & echo started").name("it").daily()
    entry.on_success(lambda run: told.append(run.output))
    run(jobs)
    assert told == ["started"]
    assert time.monotonic() - began < 15


# in a worker

JOBS = """
import os
from pathlib import Path
from tabur import Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


def failed(run):
    note("failed", run.schedule, run.error.split(":")[0])


hangs = jobs.schedule.exec("sleep 97531 & echo begun; sleep 97532").name("hangs").daily()
hangs.timeout(1).on_failure(failed).send_output_to(os.environ["LEDGER"] + ".out")
hangs.email_output_on_failure("owner@example.com")
jobs.schedule.command("migrate").daily().name("migrates").on_success(
    lambda run: note("migrated", "Nothing to migrate" in run.output)
)
jobs.schedule.command("no:such").daily().name("odd").on_failure(failed)
jobs.schedule.exec("sleep 97533 & sleep 97534").daily().name("long")
jobs.schedule.exec("kill -9 $PPID; sleep 5").daily().name("dies").on_failure(failed)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox) -> Iterator[Workshop]:
    monkeypatch.setenv("MAIL_PORT", str(mailbox.port))
    monkeypatch.setenv("MAIL_FROM", "shop@example.com")
    made = make_workshop(tmp_path, JOBS, monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()


def dispatched(shop: Workshop, name: str) -> Any:
    call = shop.jobs.schedule.declared()[name].definition.job
    return shop.jobs.maker(None).pending(call).dispatch()


def processes(words: str) -> list[Any]:
    import psutil

    return [
        each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == words.split()
    ]


def test_at_its_timeout_a_command_ends_with_all_that_it_started(
    shop: Workshop, mailbox: Mailbox
) -> None:
    dispatched(shop, "hangs")
    shop.work()
    assert shop.ledger("failed") == ["failed hangs It ran longer than its timeout of 1 s."]
    assert Path(f"{shop.folder}/ledger.txt.out").read_text("utf-8") == "begun\n"
    assert processes("sleep 97531") == processes("sleep 97532") == []
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Failed: hangs"
    assert "longer than its timeout" in mailbox.bodies()[0]


def test_a_command_of_tabur_finds_the_app_of_its_worker(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = shop.environment.pop("TABUR_APP")
    dispatched(shop, "migrates")
    shop.worker("--stop-when-empty", "--app", spec).ended()
    assert shop.ledger("migrated") == ["migrated True"]


def test_a_command_that_there_is_not_fails_with_what_it_says(shop: Workshop) -> None:
    handle = dispatched(shop, "odd")
    shop.work()
    error = handle.status().error
    assert error is not None
    assert "There is no command 'no:such'" in error.message
    assert shop.ledger("failed") == ["failed odd no"]


def test_one_whose_process_dies_fails_too(shop: Workshop) -> None:
    """`kill -9 $PPID`: the process that runs the job, thrice."""
    dispatched(shop, "dies")
    shop.work()
    (told,) = shop.ledger("failed")
    assert told.startswith("failed dies Its process ended while it ran (killed by SIGKILL)")


def test_called_back_it_ends_with_all_that_it_started(shop: Workshop) -> None:
    handle = dispatched(shop, "long")
    worker = shop.worker()
    until(lambda: processes("sleep 97533"))
    handle.cancel()
    with pytest.raises(JobCancelled):
        handle.wait(30)
    assert processes("sleep 97533") == processes("sleep 97534") == []
    worker.stop()
    worker.ended()
