"""What a worker's logs say: lines for people, JSON, records of Python's logging in jobs, traces;
and what they must not say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.worker.workshop import Workshop, make_workshop

JOBS = """
import asyncio, logging
from tabur import Job, JobContext, Tabur

jobs = Tabur.from_env()
log = logging.getLogger("shop.orders")

@jobs.job()
def in_thread(secret: str) -> None:
    log.info("told by a thread")
    logging.getLogger("shop.quiet").debug("not told")

@jobs.job()
async def on_the_loop(secret: str) -> None:
    await asyncio.sleep(0)
    log.info("told by a coroutine")

@jobs.job(timeout=30)
def alone(secret: str) -> None:
    log.warning("told by a process")

@jobs.job(title="background sync", tries=2)
def sync_pending_changes(fails: bool = False) -> None:
    if fails:
        log.exception("it goes wrong", exc_info=ValueError("no line"))
        raise RuntimeError("the line is down")

@jobs.job()
def parent(ctx: JobContext) -> None:
    log.info("parent of %s", ctx.traceparent)
    child.dispatch()

@jobs.job()
def child(ctx: JobContext) -> None:
    log.info("child of %s", ctx.traceparent)
"""
SECRET = "tiger-stripes-41"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    shop = made(tmp_path, monkeypatch, JOBS)
    yield shop
    shop.close()


def made(folder: Path, patch: pytest.MonkeyPatch, source: str) -> Workshop:
    for name in ("TABUR_LOG", "TABUR_LOG_LEVEL"):
        patch.delenv(name, raising=False)
    shop = make_workshop(folder, source, patch)
    shop.load()
    return shop


def worked(shop: Workshop, *options: str) -> tuple[str, str]:
    """Standard output and standard error of a worker that ended when nothing was left."""
    done = subprocess.run(
        [sys.executable, "-m", "tabur", "queue:work", "--stop-when-empty", *options],
        cwd=shop.folder,
        env=os.environ | shop.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def entries(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json(shop: Workshop) -> None:
    with shop.jobs.scope(tenant="acme"):
        handle = shop.module.sync_pending_changes.dispatch()
    out, err = worked(shop, "--json")
    begun, ended = entries(out)
    assert err == ""
    assert begun["message"] == "Starting background sync job"
    assert ended["message"] == "Background sync job completed"
    for entry in (begun, ended):
        assert entry["id"] == str(handle.id)
        assert entry["trace"] == str(handle.id).replace("-", "")
        assert entry["job"] == "sync_pending_changes"
        assert (entry["queue"], entry["attempts"], entry["tenant"]) == ("default", 1, "acme")
        assert entry["timestamp"].endswith("+00:00")
    assert (begun["status"], ended["status"]) == ("starting", "success")
    assert 0 <= ended["duration"] < 30


def test_json_by_the_environment(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.module.child.dispatch()
    monkeypatch.setenv("TABUR_LOG", "json")
    out, err = worked(shop)
    assert [each["status"] for each in entries(out)] == ["starting", "success"]
    assert [each["message"][:8] for each in entries(err)] == ["child of"]
    monkeypatch.setenv("TABUR_LOG", "xml")
    assert "TABUR_LOG='xml' is not known; write lines, json, quiet." in shop.run(
        "queue:work", code=1
    )


@pytest.mark.parametrize(
    ("job", "told", "level"),
    [
        ("in_thread", "told by a thread", "info"),
        ("on_the_loop", "told by a coroutine", "info"),
        ("alone", "told by a process", "warning"),
    ],
)
def test_records_of_jobs(shop: Workshop, job: str, told: str, level: str) -> None:
    """Wherever a job runs, and in either form."""
    dispatch = getattr(shop.module, job).dispatch
    first, second = dispatch(secret=SECRET), dispatch(secret=SECRET)
    out, err = worked(shop, "--json")
    records = entries(err)
    assert {each["id"] for each in records} == {str(first.id), str(second.id)}
    for each in records:
        assert (each["message"], each["level"], each["logger"]) == (told, level, "shop.orders")
        assert (each["job"], each["queue"], each["attempts"]) == (job, "default", 1)
        assert each["trace"] == each["id"].replace("-", "")
    third = dispatch(secret=SECRET)
    lines, said = worked(shop)
    line = next(each for each in said.splitlines() if told in each)
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    assert re.fullmatch(rf"{moment} {level.upper()} shop.orders: {told} \[{job} {third.id}\]", line)
    assert SECRET not in out + err + lines + said


def test_lines_of_a_job_with_a_title(shop: Workshop) -> None:
    shop.module.sync_pending_changes.dispatch()
    shop.module.child.dispatch()
    out, _ = worked(shop)
    assert re.search(r"Starting background sync job \.+ RUNNING", out)
    assert re.search(r"Background sync job completed \.+ [\d.]+m?s DONE", out)
    assert re.search(r" child \.+ [\d.]+m?s DONE", out)


def test_failures(shop: Workshop) -> None:
    handle = shop.module.sync_pending_changes.dispatch(fails=True)
    out, err = worked(shop, "--json", "--backoff=0.05", "--stop-when-empty-for=1")
    told = [each for each in entries(out) if each["status"] != "starting"]
    assert [each["status"] for each in told][:1] == ["released_after_exception"]
    assert told[0]["exception"] == "RuntimeError"
    assert told[0]["message"] == "the line is down"
    record = entries(err)[0]
    assert record["id"] == str(handle.id)
    assert record["exception"] == "ValueError"
    assert "ValueError: no line" in record["traceback"]


def test_verbose_lines(shop: Workshop) -> None:
    with shop.jobs.scope(tenant="acme", traceparent=f"00-{TRACE}-00f067aa0ba902b7-01"):
        handle = shop.module.child.dispatch()
    out, _ = worked(shop, "-v")
    assert f"child {handle.id} database default" in out
    assert f"attempt 1 trace {TRACE} tenant acme" in out


def test_a_trace_goes_through_all_that_comes_of_a_request(shop: Workshop) -> None:
    with (
        shop.jobs.scope(traceparent=f"00-{TRACE}-00f067aa0ba902b7-00"),
        shop.jobs.scope(user="anna"),
    ):
        shop.module.parent.dispatch()
    shop.module.parent.dispatch()
    with shop.jobs.scope(traceparent="not one"):
        shop.module.parent.dispatch()
    out, err = worked(shop, "--json")
    told = [each["message"].rpartition(" ")[2].split("-") for each in entries(err)]
    with_request = [each for each in told if each[1] == TRACE]
    assert [each[3] for each in with_request] == ["00", "00"]  # the flags: not sampled
    assert with_request[0][2] != with_request[1][2]  # each attempt is a span
    without = [each[1] for each in told if each[1] != TRACE]
    assert len(without) == 4
    assert len(set(without)) == 2  # a child is of its parent's trace
    ids = {each["id"].replace("-", "") for each in entries(out) if each["job"] == "parent"}
    assert set(without) < ids


def test_logging_that_the_app_has_set_up_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = 'import logging\nlogging.basicConfig(format="mine %(job_id)s|%(message)s", level=20)\n'
    shop = made(tmp_path, monkeypatch, own + JOBS)
    try:
        handle = shop.module.child.dispatch()
        assert f"mine {handle.id}|child of" in worked(shop)[1]
        shop.module.child.dispatch()
        assert entries(worked(shop, "--json")[1])[0]["logger"] == "shop.orders"
    finally:
        shop.close()


def test_what_a_handler_of_the_app_has_written_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = (
        "import logging\nown = logging.StreamHandler()\n"
        'logging.getLogger("shop").addHandler(own)\n'
        'logging.getLogger("shop").setLevel(20)\n'
    )
    shop = made(tmp_path, monkeypatch, own + JOBS)
    try:
        shop.module.child.dispatch()
        assert worked(shop)[1].count("child of") == 1
    finally:
        shop.close()


def test_levels(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_LOG_LEVEL", "debug")
    shop.module.in_thread.dispatch(secret=SECRET)
    assert "DEBUG shop.quiet: not told" in worked(shop)[1]
    monkeypatch.setenv("TABUR_LOG_LEVEL", "error")
    shop.module.alone.dispatch(secret=SECRET)
    assert "told by" not in worked(shop)[1]
