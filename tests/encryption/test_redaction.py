"""What is shown to nobody: arguments of encrypted jobs, and those that a job calls secret."""

from __future__ import annotations

import json
import logging
from enum import Enum
from typing import Any

import pytest

from tabur import ConfigError, Job, JobContext, PayloadError, Tabur
from tabur.operations.reading import Reading
from tabur.worker.inline import drain

KEY = "a key of which nobody else knows 1"
HUSH = "hush-hush"


class Colour(Enum):
    RED = "red"


def make(**settings: Any) -> Any:
    app = Tabur("memory", **({"key": KEY} | settings))

    @app.job(secret=["password"])
    def log_in(user: str, password: str) -> None:
        raise PermissionError(user)

    @app.job(encrypted=True)
    def pay(card: str, colour: Colour = Colour.RED) -> None:
        raise LookupError

    @app.register
    class Reset(Job[None], secret=("token",)):
        token: str
        user: int = 7

        def handle(self, ctx: JobContext) -> None: ...

    class Renew(Job[None], encrypted=True):
        token: str

        def handle(self, ctx: JobContext) -> None: ...

    jobs: Any = app
    jobs.log_in, jobs.pay, jobs.reset, jobs.renew = log_in, pay, Reset, Renew
    return jobs


def test_pending_jobs_do_not_show_it() -> None:
    jobs = make()
    assert repr(jobs.log_in(user="me", password=HUSH)) == "log_in(user='me', password=…)"
    assert repr(jobs.pay(card=HUSH)) == "pay(card=…, colour=…)"
    reset = jobs.reset(token=HUSH)
    assert repr(reset.pending()) == "Reset(token=…, user=7)"
    assert repr(reset).endswith("Reset(token=…, user=7)")
    assert repr(jobs.renew(token=HUSH)).endswith("Renew(token=…)"), "registered or not"


def test_the_job_itself_gets_it() -> None:
    with pytest.raises(PermissionError, match="me"):
        make().log_in(user="me", password=HUSH).run()


def test_messages_of_the_fake_do_not_show_it() -> None:
    jobs = make()
    with jobs.fake() as queue:
        jobs.log_in.dispatch(user="me", password=HUSH)
        jobs.pay.dispatch(card=HUSH)
        with pytest.raises(AssertionError) as caught:
            queue.assert_nothing_pushed()
    assert "log_in(user='me', password=…)" in str(caught.value)
    assert HUSH not in str(caught.value)


@pytest.mark.parametrize("sign", [False, True])
def test_what_operators_are_shown(sign: bool) -> None:
    jobs = make(sign=sign)
    reading = Reading(*jobs.drivers, seals=jobs.seals)
    log_in = jobs.log_in.dispatch(user="me", password=HUSH)
    pay = jobs.pay.dispatch(card=HUSH)
    assert json.loads(reading.job(log_in.id).arguments) == {"user": "me", "password": "…"}
    assert reading.job(pay.id).arguments == "…"
    assert Reading(*jobs.drivers).job(pay.id).arguments == "…"


def test_logs_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    jobs = make()
    with caplog.at_level(logging.DEBUG):
        for pending in (jobs.log_in(user="me", password=HUSH), jobs.pay(card=HUSH)):
            pending.dispatch()
        drain(jobs.runtime)
    assert "PermissionError" in caplog.text
    assert HUSH not in caplog.text


def test_an_argument_that_does_not_fit_is_not_shown_either() -> None:
    jobs = make()
    with pytest.raises(PayloadError, match=r"does not fit.*\$\.colour") as caught:
        jobs.pay(card="x", colour=HUSH)
    assert HUSH not in str(caught.value)
    with pytest.raises(PayloadError, match="its value is not shown") as caught:
        jobs.pay(card=float("nan"))
    assert "nan" not in str(caught.value)
    with pytest.raises(PayloadError, match="cannot be kept as JSON"):
        jobs.pay(card=object())


def test_a_secret_that_is_no_argument_is_refused() -> None:
    jobs = Tabur("memory")
    with pytest.raises(ConfigError, match=r"log_in: secret=\['passwrd'\] .* user, password"):

        @jobs.job(secret=["passwrd"])
        def log_in(user: str, password: str) -> None: ...

    text: Any = "password"
    word: Any = "yes"
    with pytest.raises(ConfigError, match="secret='password': a list of names is needed"):
        jobs.job(secret=text)(lambda password: None)
    with pytest.raises(ConfigError, match="encrypted='yes': True or False is needed"):
        jobs.job(encrypted=word)(lambda: None)
