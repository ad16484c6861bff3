"""TABUR_SIGN: a worker runs nothing that nobody with the key has dispatched."""

from __future__ import annotations

from typing import Any

import pytest

from tabur import ConfigError, State, Tabur
from tabur.config import Settings, from_env
from tabur.drivers.contract import Body, Rewrite
from tabur.model.ids import id_bytes, new_id
from tabur.model.records import JobRecord, NewJob
from tabur.model.states import Isolation
from tabur.operations.rotating import rotate
from tabur.worker.inline import drain

KEY, OTHER = "a key of which nobody else knows 1", "a key of which nobody else knows 2"


def make(*, sign: bool = True, **settings: Any) -> Any:
    app = Tabur("memory", sign=sign, **({"key": KEY} | settings))
    ran: list[str] = []

    @app.job()
    def delete(table: str) -> None:
        ran.append(table)

    @app.job()
    def keep(table: str) -> None: ...

    jobs: Any = app
    jobs.delete, jobs.keep = delete, keep
    jobs.ran = ran
    return jobs


def kept(jobs: Tabur, job_id: str) -> JobRecord:
    record = jobs.driver.inspection.find(id_bytes(job_id))
    assert record is not None
    return record


def refused(jobs: Any, job_id: str) -> str:
    """Why it has failed without having begun."""
    drain(jobs.runtime)
    status = jobs.handle(job_id).status()
    assert (status.state, status.attempt, status.error.type) == (State.FAILED, 0, "SealError")
    assert jobs.ran == []
    message: str = status.error.message
    return message


def put(jobs: Any, payload: bytes, **given: Any) -> str:
    """What somebody with access to the store writes there."""
    plain: dict[str, Any] = {"name": "delete", "queue": "default", "isolation": Isolation.THREAD}
    job = NewJob(id=new_id(), payload=payload, created_at=0, **(plain | given))
    jobs.driver.dispatching.dispatch([job])
    return job.id.hex()


def test_what_is_signed_runs_and_can_be_read_in_the_store() -> None:
    jobs = make()
    handle = jobs.delete.dispatch(table="old")
    assert kept(jobs, handle.id).payload.endswith(b'.{"table":"old"}')
    drain(jobs.runtime)
    assert (jobs.ran, handle.status().state) == (["old"], State.COMPLETED)


def test_what_nobody_has_signed_is_refused() -> None:
    jobs = make()
    assert "not signed, and TABUR_SIGN" in refused(jobs, put(jobs, b'{"table":"orders"}'))


def test_a_payload_that_was_changed_is_refused() -> None:
    jobs = make()
    handle = jobs.delete.dispatch(table="old")
    record = kept(jobs, handle.id)
    changed = record.payload.replace(b"old", b"orders")
    jobs.driver.transfer.rewrite([Rewrite(record.id, Body.PAYLOAD, record.payload, changed)])
    assert "was changed in the store" in refused(jobs, handle.id)


@pytest.mark.parametrize(
    "given", [{"name": "delete"}, {"name": "keep", "tenant": "acme"}, {"name": "keep"}]
)
def test_a_signature_is_good_for_its_own_job_alone(given: dict[str, Any]) -> None:
    jobs = make()
    signed = kept(jobs, jobs.keep.options(queue="aside").dispatch(table="orders").id).payload
    jobs.driver.dispatching.clear("aside")
    assert "belongs to another job" in refused(jobs, put(jobs, signed, **given))


def test_a_signature_of_another_key_is_refused() -> None:
    jobs = make()
    stranger = make(key=OTHER)
    signed = kept(stranger, stranger.delete.dispatch(table="x").id).payload
    assert "not among the keys here" in refused(jobs, put(jobs, signed))


def test_who_does_not_ask_for_signatures_runs_both_and_checks_those_that_are_there() -> None:
    jobs, signing = make(sign=False), make()
    put(jobs, b'{"table":"plain"}')
    record = kept(signing, signing.delete.dispatch(table="signed").id)
    again = NewJob(record.id, "delete", "default", Isolation.THREAD, record.payload, created_at=0)
    jobs.driver.dispatching.dispatch([again])
    drain(jobs.runtime)
    assert jobs.ran == ["plain", "signed"]
    jobs.ran.clear()
    wrong = record.payload.replace(b"signed.1", b"signed.1", 1)[:-1] + b" }"
    assert "was changed" in refused(jobs, put(jobs, wrong))


def test_what_waited_when_it_was_turned_on_is_vouched_for_once() -> None:
    jobs = make()
    job_id = put(jobs, b'{"table":"old"}')
    assert "tabur keys:rotate --vouch" in refused(jobs, job_id)
    assert rotate(jobs.driver, jobs.seals, tell=print).rewritten == 0, "it signs nothing by itself"
    assert rotate(jobs.driver, jobs.seals, vouch=True, tell=print).rewritten == 1
    assert jobs.handle(job_id).retry()
    drain(jobs.runtime)
    assert jobs.ran == ["old"]


@pytest.mark.parametrize(
    ("word", "on"), [("1", True), ("true", True), ("0", False), ("off", False)]
)
def test_the_setting(word: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_SIGN", word)
    monkeypatch.setenv("TABUR_KEY", KEY)
    monkeypatch.setenv("TABUR_PREVIOUS_KEYS", f"{OTHER}, older ,")
    settings = from_env(None, {})
    assert (settings.sign, settings.previous_keys) == (on, (OTHER, "older"))
    assert OTHER not in repr(settings)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"sign": True}, "TABUR_SIGN needs a key. Make one: tabur key:generate"),
        ({"previous_keys": "x"}, "TABUR_PREVIOUS_KEYS needs a key"),
        ({"sign": "maybe", "key": KEY}, "TABUR_SIGN='maybe' is not known; write 1 or 0"),
        ({"previous_keys": 7, "key": KEY}, "a list of keys is needed"),
    ],
)
def test_settings_that_cannot_work(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Settings(**given)
