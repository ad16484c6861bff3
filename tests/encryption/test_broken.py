"""What cannot be opened or is not known fails with a reason, its worker lives and works on, and it
runs after the repair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tabur import JobHandle, State
from tabur.drivers.contract import Body, Rewrite
from tabur.model.ids import id_bytes
from tabur.operations.acting import Acting
from tabur.operations.rotating import Rotated, rotate
from tests.stores import places
from tests.worker.workshop import Workshop, make_workshop

#: Each starts two workers or more.
pytestmark = pytest.mark.timeout(300)

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


def quietly(_: Rotated) -> None: ...


def both(shop: Workshop) -> list[JobHandle[Any]]:
    """One for a thread, one for a process of its own."""
    return [
        shop.module.Charge(card="4111").dispatch(),
        shop.module.charge_apart.dispatch(card="4111"),
    ]


def fail(shop: Workshop, handles: Sequence[JobHandle[Any]], reason: str, *options: str) -> None:
    """A worker rejects them, and works what came behind them."""
    neighbours = [shop.module.neighbour.dispatch(n=n) for n in range(3)]
    worker = shop.work(*options)
    assert [each.result() for each in neighbours] == [0, 1, 2]
    for each in handles:
        status = each.status()
        assert (status.state, status.attempt) == (State.FAILED, 0)
        assert status.error is not None
        assert reason in status.error.message
    assert shop.ledger("charged") == []
    assert "4111" not in worker.output


def run_again(shop: Workshop, handles: Sequence[JobHandle[Any]]) -> None:
    assert sorted(Acting(shop.jobs.driver).retry_failed()) == sorted(each.id for each in handles)
    shop.work()
    assert {each.status().state for each in handles} == {State.COMPLETED}
    assert shop.ledger("charged") == ["charged 4111"] * len(handles)


def test_with_the_right_key_they_run(shop: Workshop) -> None:
    handles = both(shop)
    worker = shop.work()
    assert [each.result() for each in handles] == ["4111", "4111"]
    assert shop.ledger("charged") == ["charged 4111"] * 2
    assert "4111" not in worker.output


def test_the_wrong_key(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = both(shop)
    monkeypatch.setenv("TABUR_KEY", OTHER)
    fail(shop, handles, "which is not among the keys here")
    monkeypatch.setenv("TABUR_PREVIOUS_KEYS", KEY)
    run_again(shop, handles)


def test_a_lost_key(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    handles = both(shop)
    monkeypatch.delenv("TABUR_KEY")
    fail(shop, handles, "and there is no key here. Set TABUR_KEY")
    monkeypatch.setenv("TABUR_KEY", KEY)
    run_again(shop, handles)


TAMPERING: list[Callable[[bytes], bytes]] = [
    lambda payload: payload[:-9] + bytes([payload[-9] ^ 1]) + payload[-8:],
    lambda payload: payload[:40],
    lambda payload: payload.replace(b".1.", b".9.", 1),
    lambda payload: b"sealed.\x00\xff",
]


def test_tampered_payloads(shop: Workshop) -> None:
    handles = [shop.module.Charge(card="4111").dispatch() for _ in TAMPERING]
    rewrite = shop.jobs.driver.transfer.rewrite
    changes: list[Rewrite] = []
    for handle, tamper in zip(handles, TAMPERING, strict=True):
        record = shop.jobs.driver.inspection.find(id_bytes(handle.id))
        assert record is not None
        payload = record.payload
        changes.append(Rewrite(record.id, Body.PAYLOAD, payload, tamper(payload)))
    assert rewrite(changes) == len(changes)
    fail(shop, handles, "Its payload")
    assert shop.ledger("failed") == [], "there are no arguments to call it with"
    repair = [Rewrite(each.id, each.body, each.after, each.before) for each in changes]
    assert rewrite(repair) == len(changes)
    run_again(shop, handles)


def test_a_renamed_class(shop: Workshop) -> None:
    job_id = shop.module.Charge(card="4111").dispatch().id
    file = shop.folder / f"{shop.name}.py"
    file.write_text(_renamed(""), "utf-8")
    shop.reload()
    fail(shop, [shop.jobs.handle(job_id)], "No job is called 'Charge'", "--unknown-for=0")
    file.write_text(_renamed(", aliases=['Charge']"), "utf-8")
    shop.reload()
    run_again(shop, [shop.jobs.handle(job_id)])
    assert shop.jobs.handle(job_id).result() == "4111"


def test_what_nobody_has_signed(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = shop.module.neighbour.dispatch(n=7).id
    monkeypatch.setenv("TABUR_SIGN", "1")
    shop.reload()
    handle = shop.jobs.handle(job_id)
    fail(shop, [handle], "TABUR_SIGN lets only what is signed run")
    assert rotate(shop.jobs.driver, shop.jobs.seals, vouch=True, tell=quietly).rewritten > 0
    assert handle.retry()
    shop.work()
    assert handle.result() == 7


def test_keys_are_rotated_while_a_worker_works(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = [shop.module.Charge(card=f"card-{n}").dispatch() for n in range(200)]
    later = shop.module.Charge(card="later").options(delay=3600).dispatch()
    monkeypatch.setenv("TABUR_KEY", OTHER)
    monkeypatch.setenv("TABUR_PREVIOUS_KEYS", KEY)
    shop.reload()
    worker = shop.worker("--stop-when-empty")
    while worker.process.poll() is None:
        rotate(shop.jobs.driver, shop.jobs.seals, tell=quietly)
    worker.ended()
    rotate(shop.jobs.driver, shop.jobs.seals, tell=quietly)
    monkeypatch.delenv("TABUR_PREVIOUS_KEYS")
    shop.reload()
    cards = [f"card-{n}" for n in range(200)]
    assert [shop.jobs.handle(each.id).result() for each in handles] == cards
    assert len(shop.ledger("charged")) == 200
    record = shop.jobs.driver.inspection.find(id_bytes(later.id))
    assert record is not None
    assert b"later" in shop.jobs.seals.opened_payload(record)


def _renamed(options: str) -> str:
    return JOBS.replace("class Charge(Job[str],", f"class Pay(Job[str]{options},")
