"""What cannot be opened or is not known fails with a reason, its worker lives and works on, and it
runs after the repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tabur import JobHandle, State
from tabur.drivers.contract import Body, Rewrite
from tabur.model.ids import id_bytes
from tests.stores import places
from tests.worker.workshop import Workshop, make_workshop

KEY, OTHER = "a key of which nobody else knows 1", "a key of which nobody else knows 2"

JOBS = """
import os
from tabur import Job, JobContext, Tabur

jobs = Tabur.from_env()


def note(*words: object) -> None:
    with open(os.environ["LEDGER"], "a") as ledger:
        ledger.write(" ".join(map(str, words)) + "\\n")


@jobs.register
class Charge(Job[str], encrypted=True):
    card: str

    def handle(self, ctx: JobContext) -> str:
        note("charged", self.card)
        return self.card

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        note("failed", type(error).__name__)


@jobs.job(encrypted=True, timeout=30)
def charge_apart(card: str) -> str:
    note("charged", card)
    return card


@jobs.job()
def neighbour(n: int) -> int:
    return n
"""


@pytest.fixture(params=["sqlite", "redis"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    if request.param == "sqlite":
        store = places.sqlite(tmp_path)
    else:
        server = request.getfixturevalue("redis_server")
        store = places.redis(server, 10) | {"REDIS_PREFIX": tmp_path.name}
    for name in ("TABUR_KEY", "TABUR_PREVIOUS_KEYS", "TABUR_SIGN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TABUR_KEY", KEY)
    shop = make_workshop(tmp_path, JOBS, monkeypatch, store)
    shop.load()
    yield shop
    shop.close()


def fails(shop: Workshop, handle: JobHandle[Any], reason: str, *options: str) -> None:
    """A worker rejects it, and works what came behind it."""
    neighbours = [shop.module.neighbour.dispatch(n=n) for n in range(3)]
    worker = shop.work(*options)
    assert [each.result() for each in neighbours] == [0, 1, 2]
    status = handle.status()
    assert (status.state, status.attempt) == (State.FAILED, 0)
    assert status.error is not None
    assert reason in status.error.message
    assert reason in " ".join(shop.run("queue:failed:show", handle.id).split())
    assert shop.ledger("charged") == []
    assert "4111" not in worker.output


def runs_again(shop: Workshop, handle: JobHandle[Any]) -> None:
    assert handle.id in shop.run("queue:retry", handle.id)
    shop.work()
    assert handle.status().state is State.COMPLETED
    assert shop.ledger("charged") == ["charged 4111"]


@pytest.fixture(params=["Charge", "charge_apart"])
def handle(request: pytest.FixtureRequest, shop: Workshop) -> JobHandle[Any]:
    """Of a job in a thread, or in a process of its own."""
    pending = getattr(shop.module, request.param)(card="4111")
    found: JobHandle[Any] = pending.dispatch()
    return found


def test_with_the_right_key_it_runs(shop: Workshop, handle: JobHandle[Any]) -> None:
    worker = shop.work()
    assert handle.result() == "4111"
    assert shop.ledger("charged") == ["charged 4111"]
    assert "4111" not in worker.output


def test_the_wrong_key(
    shop: Workshop, handle: JobHandle[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_KEY", OTHER)
    fails(shop, handle, "which is not among the keys here")
    monkeypatch.setenv("TABUR_PREVIOUS_KEYS", KEY)
    runs_again(shop, handle)


def test_a_lost_key(
    shop: Workshop, handle: JobHandle[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TABUR_KEY")
    fails(shop, handle, "and there is no key here. Set TABUR_KEY")
    monkeypatch.setenv("TABUR_KEY", KEY)
    runs_again(shop, handle)


@pytest.mark.parametrize(
    "tamper",
    [
        lambda payload: payload[:-9] + bytes([payload[-9] ^ 1]) + payload[-8:],
        lambda payload: payload[:40],
        lambda payload: payload.replace(b".1.", b".9.", 1),
        lambda payload: b"sealed.\x00\xff",
    ],
    ids=["a bit", "cut", "another form", "rubbish"],
)
def test_a_tampered_payload(shop: Workshop, tamper: Callable[[bytes], bytes]) -> None:
    handle = shop.module.Charge(card="4111").dispatch()
    record = shop.jobs.driver.inspection.find(id_bytes(handle.id))
    assert record is not None
    tampered = tamper(record.payload)
    rewrite = shop.jobs.driver.transfer.rewrite
    assert rewrite([Rewrite(record.id, Body.PAYLOAD, record.payload, tampered)]) == 1
    fails(shop, handle, "Its payload")
    assert shop.ledger("failed") == [], "there are no arguments to call it with"
    assert rewrite([Rewrite(record.id, Body.PAYLOAD, tampered, record.payload)]) == 1
    runs_again(shop, handle)


def test_a_renamed_class(shop: Workshop) -> None:
    handle = shop.module.Charge(card="4111").dispatch()
    file = shop.folder / f"{shop.name}.py"
    file.write_text(_renamed(""), "utf-8")
    shop.reload()
    handle = shop.jobs.handle(handle.id)
    fails(shop, handle, "No job is called 'Charge' in this app", "--unknown-for=0")
    file.write_text(_renamed(", aliases=['Charge']"), "utf-8")
    shop.reload()
    runs_again(shop, shop.jobs.handle(handle.id))
    assert shop.jobs.handle(handle.id).result() == "4111"


def test_what_nobody_has_signed(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = shop.module.neighbour.dispatch(n=7)
    monkeypatch.setenv("TABUR_SIGN", "1")
    shop.reload()
    handle = shop.jobs.handle(handle.id)
    fails(shop, handle, "TABUR_SIGN lets only what is signed run")
    shop.run("keys:rotate", "--vouch")
    shop.run("queue:retry", handle.id)
    shop.work()
    assert handle.result() == 7


def test_keys_are_rotated_while_a_worker_works(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [shop.module.Charge(card=f"card-{n}").dispatch() for n in range(200)]
    later = shop.module.Charge(card="later").options(delay=3600).dispatch()
    monkeypatch.setenv("TABUR_KEY", OTHER)
    monkeypatch.setenv("TABUR_PREVIOUS_KEYS", KEY)
    worker = shop.worker("--stop-when-empty")
    for _ in range(2):
        shop.run("keys:rotate")
    worker.ended()
    shop.run("keys:rotate")
    monkeypatch.delenv("TABUR_PREVIOUS_KEYS")
    shop.reload()
    assert [shop.jobs.handle(each.id).result() for each in handles] == [
        f"card-{n}" for n in range(200)
    ]
    assert len(shop.ledger("charged")) == 200
    record = shop.jobs.driver.inspection.find(id_bytes(later.id))
    assert record is not None
    assert b"later" in shop.jobs.seals.opened_payload(record)


def _renamed(options: str) -> str:
    return JOBS.replace("class Charge(Job[str],", f"class Pay(Job[str]{options},")
