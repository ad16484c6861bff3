"""All that is sealed comes under the current key, whatever state its job is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tabur import State, Tabur
from tabur.drivers.contract import Body, Rewrite
from tabur.model.ids import id_bytes
from tabur.operations import rotating
from tabur.operations.rotating import rotate
from tabur.worker.inline import drain

OLD, NEW = "a key of which nobody else knows 1", "a key of which nobody else knows 2"


def make(
    folder: Path, key: str, *previous: str, connection: str = "database", **settings: Any
) -> Any:
    app = Tabur(
        connection,
        database_url=f"sqlite:///{folder}/jobs.sqlite3",
        key=key,
        previous_keys=previous,
        **settings,
    )

    @app.job(encrypted=True)
    def echo(text: str) -> str:
        if text == "fail":
            raise LookupError
        return text

    @app.job()
    def plain(n: int) -> int:
        return n

    jobs: Any = app
    jobs.echo, jobs.plain = echo, plain
    return jobs


@pytest.fixture(autouse=True)
def _chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "CHUNK", 4)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Any]:
    jobs = make(tmp_path, OLD)
    jobs.migrate()
    yield jobs
    jobs.close()


def test_payloads_and_results_of_all_that_is_kept(old: Any, tmp_path: Path) -> None:
    done = [old.echo.dispatch(text=f"done {n}") for n in range(5)]
    failed, plain = old.echo.dispatch(text="fail"), old.plain.dispatch(n=7)
    drain(old.runtime)
    later = old.echo.options(delay=3600).dispatch(text="later")
    waiting = [old.echo.dispatch(text=f"waiting {n}") for n in range(5)]

    both = make(tmp_path, NEW, OLD)
    told: list[int] = []
    first = rotate(both.driver, both.seals, tell=lambda so_far: told.append(so_far.looked))
    assert (first.looked, first.rewritten, first.left) == (13, 5 * 2 + 1 + 1 + 5, 0)
    assert told == [4, 8, 12, 13]
    assert rotate(both.driver, both.seals, tell=lambda _: None).rewritten == 0

    new = make(tmp_path, NEW)
    assert [new.handle(each.id).result() for each in done] == [f"done {n}" for n in range(5)]
    assert new.handle(plain.id).result() == 7
    drain(new.runtime)
    assert [new.handle(each.id).result() for each in waiting] == [f"waiting {n}" for n in range(5)]
    assert new.handle(later.id).status().state is State.SCHEDULED
    assert new.handle(failed.id).retry()
    drain(new.runtime)
    assert new.handle(failed.id).status().error.type == "LookupError", "it ran again"
    both.close()
    new.close()


def test_what_no_key_opens_is_told_and_stays(old: Any, tmp_path: Path) -> None:
    lost = [old.echo.dispatch(text="x") for _ in range(rotating.TOLD + 2)]
    before = [old.driver.inspection.find(id_bytes(each.id)) for each in lost]
    new = make(tmp_path, NEW)
    kept = new.echo.dispatch(text="y")
    done = rotate(new.driver, new.seals, tell=lambda _: None)
    assert (done.rewritten, done.left, len(done.unopened)) == (0, len(lost), rotating.TOLD)
    assert kept.id not in done.unopened
    assert all("TABUR_PREVIOUS_KEYS" in reason for reason in done.unopened.values())
    assert [new.driver.inspection.find(id_bytes(each.id)) for each in lost] == before
    new.close()


def test_what_waited_when_its_job_was_declared_encrypted_is_encrypted(
    old: Any, tmp_path: Path
) -> None:
    plain = old.plain.dispatch(n=7)
    jobs = Tabur("database", database_url=f"sqlite:///{tmp_path}/jobs.sqlite3", key=OLD)
    jobs.job(encrypted=True, name="plain")(lambda n: n)
    assert rotate(jobs.driver, jobs.seals, tell=lambda _: None).rewritten == 1
    record = jobs.driver.inspection.find(id_bytes(plain.id))
    assert record is not None
    assert record.payload.startswith(b"sealed.")
    drain(jobs.runtime)
    assert jobs.handle(plain.id).result() == 7
    jobs.close()


def test_a_job_that_ends_meanwhile_keeps_its_result(
    old: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and writing, its worker settles it and retention removes another."""
    both = make(tmp_path, NEW, OLD)
    handle, gone = old.echo.dispatch(text="ends"), old.echo.dispatch(text="gone")
    rewrite = both.driver.transfer.rewrite

    def late(changes: list[Rewrite]) -> int:
        gone.cancel()
        drain(both.runtime)
        both.driver.dispatching.forget_one(id_bytes(gone.id))
        return int(rewrite(changes))

    monkeypatch.setattr(both.driver.transfer, "rewrite", late)
    assert rotate(both.driver, both.seals, tell=lambda _: None).rewritten == 1
    assert both.handle(handle.id).result() == "ends"
    new = make(tmp_path, NEW)
    assert new.handle(handle.id).result() == "ends"
    both.close()
    new.close()


def test_two_rotations_and_a_worker_at_once(old: Any, tmp_path: Path) -> None:
    handles = [old.echo.dispatch(text=str(n)) for n in range(60)]
    apps = [make(tmp_path, NEW, OLD) for _ in range(3)]
    threads = [
        threading.Thread(target=rotate, args=(app.driver, app.seals), kwargs={"tell": id})
        for app in apps[:2]
    ] + [threading.Thread(target=drain, args=(apps[2].runtime,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rotate(apps[0].driver, apps[0].seals, tell=lambda _: None)
    new = make(tmp_path, NEW)
    assert [new.handle(each.id).result() for each in handles] == [str(n) for n in range(60)]
    for each in (*apps, new):
        each.close()


def test_what_waits_in_an_outbox_is_brought_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/shop.sqlite3"
    old, both = (
        make(tmp_path, *keys, connection="memory", outbox_url=url) for keys in ((OLD,), (NEW, OLD))
    )
    old.migrate()
    monkeypatch.setattr(old.driver._relayer, "soon", lambda: None)  # its process has died
    engine = create_engine(url)
    with Session(engine) as session, session.begin():
        handle = old.echo.options(session=session).dispatch(text="x")
    assert rotate(both.driver, both.seals, tell=lambda _: None).rewritten == 1
    record = both.driver.inspection.find(id_bytes(handle.id))
    assert both.seals.renewed_payload(record) == record.payload
    engine.dispose()
    for each in (old, both):
        each.close()


def test_a_body_is_replaced_only_where_it_stands_as_it_was_read(old: Any) -> None:
    handle = old.echo.dispatch(text="x")
    change = Rewrite(id_bytes(handle.id), Body.PAYLOAD, b"otherwise", b"y")
    assert old.driver.transfer.rewrite([change]) == 0
