"""What schedules keep of an encrypted job is encrypted too, and their ticks run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, State, Tabur
from tabur.scheduler.ticker import Ticker
from tabur.worker.inline import drain

KEY, OTHER = "a key of which nobody else knows 1", "a key of which nobody else knows 2"
CARD = "4111-1111"


def make(folder: Path, **settings: Any) -> Any:
    url = f"sqlite:///{folder}/jobs.sqlite3"
    app = Tabur("database", database_url=url, **({"key": KEY} | settings))
    app.migrate()
    ran: list[str] = []

    @app.job(encrypted=True)
    def charge(card: str) -> None:
        ran.append(card)

    @app.job(secret=["password"])
    def log_in(user: str, password: str) -> None: ...

    jobs: Any = app
    jobs.charge, jobs.log_in = charge, log_in
    jobs.ran = ran
    return jobs


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Any]:
    jobs = make(tmp_path)
    yield jobs
    jobs.close()


def ticker(jobs: Any) -> Ticker:
    return Ticker(
        jobs.driver, jobs.schedule.declared(), jobs.maker(None), name="s", say=lambda _: None
    )


def kept(jobs: Any, name: str) -> bytes:
    found = jobs.driver.schedules.find(name)
    assert found is not None
    definition: bytes = found.definition
    return definition


def test_one_made_at_run_time(jobs: Any) -> None:
    made = jobs.schedules.create(
        name="monthly", cron="0 0 1 * *", job="charge", arguments={"card": CARD}
    )
    assert made.arguments == "…"
    assert CARD.encode() not in kept(jobs, "monthly")
    jobs.schedules.run("monthly")
    drain(jobs.runtime)
    assert jobs.ran == [CARD]


def test_editing_its_time_leaves_its_arguments(jobs: Any) -> None:
    jobs.schedules.create(name="monthly", cron="0 0 1 * *", job="charge", arguments={"card": CARD})
    jobs.schedules.edit("monthly", cron="0 0 2 * *", job="charge")
    assert CARD.encode() not in kept(jobs, "monthly")
    assert jobs.schedules.pending("monthly").args.card == CARD
    jobs.schedules.edit("monthly", arguments={"card": "4222"})
    assert jobs.schedules.pending("monthly").args.card == "4222"


@pytest.mark.parametrize("hooks", [False, True])
def test_one_that_the_code_declares(jobs: Any, hooks: bool) -> None:
    entry = jobs.schedule.job(jobs.charge(card=CARD)).every_minute().name("each")
    if hooks:
        entry.before(lambda: jobs.ran.append("before"))
    watching = ticker(jobs)
    assert watching.register() == 1
    assert watching.register() == 0, "the same is sealed alike"
    assert CARD.encode() not in kept(jobs, "each")
    jobs.schedules.run("each")
    drain(jobs.runtime)
    assert jobs.ran == (["before", CARD] if hooks else [CARD])


def test_a_secret_of_a_schedule_is_not_shown(jobs: Any) -> None:
    arguments = {"user": "me", "password": "hush"}
    made = jobs.schedules.create(name="in", cron="@daily", job="log_in", arguments=arguments)
    assert made.arguments == {"user": "me", "password": "…"}
    assert jobs.schedules.pending("in").args.password == "hush"


def test_without_a_key_none_is_made(tmp_path: Path) -> None:
    jobs = make(tmp_path, key=None)
    with pytest.raises(ConfigError, match=r"charge is encrypted.*key:generate"):
        jobs.schedules.create(name="x", cron="@daily", job="charge", arguments={"card": CARD})
    jobs.close()


def test_they_are_rotated_too(tmp_path: Path, jobs: Any) -> None:
    arguments = {"card": CARD}
    jobs.schedules.create(name="x", cron="@daily", job="charge", arguments=arguments)
    both = make(tmp_path, key=OTHER, previous_keys=[KEY])
    assert both.schedules.rotate() == (1, {})
    assert both.schedules.rotate() == (0, {})
    only = make(tmp_path, key=OTHER)
    assert only.schedules.pending("x").args.card == CARD
    lost = make(tmp_path, key=KEY)
    rotated, refused = lost.schedules.rotate()
    assert (rotated, list(refused)) == (0, ["x"])
    for each in (both, only, lost):
        each.close()


def test_where_all_is_signed_a_schedule_that_somebody_else_has_written_is_skipped(
    tmp_path: Path, jobs: Any
) -> None:
    arguments = {"user": "root", "password": "x"}
    jobs.schedules.create(name="in", cron="* * * * *", job="log_in", arguments=arguments)
    signing = make(tmp_path, sign=True)
    with pytest.raises(Exception, match="not signed"):
        signing.schedules.pending("in")
    assert signing.schedules.rotate(vouch=True) == (1, {})
    assert signing.schedules.pending("in").args.user == "root"
    job_id = signing.schedules.run("in")
    drain(signing.runtime)
    assert signing.handle(job_id).status().state is State.COMPLETED
    signing.close()
