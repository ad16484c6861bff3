"""A real worker meets jobs of other code, on each store: it lives, and they run once that is
mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tabur import JobHandle, State
from tests.stores import places
from tests.worker.workshop import Workshop, make_workshop, reaches, until

BEFORE = """
from tabur import Tabur

jobs = Tabur.from_env()

@jobs.job()
def old_name(n: int) -> int:
    return n

@jobs.job(name="order")
def order(number: str) -> None: ...

@jobs.job(name="slow_order", isolation="process")
def slow_order(number: str) -> None: ...

@jobs.job(name="later", version=5)
def later(n: int) -> int:
    return n
"""
#: `{alias}` and `{number}` are what is mended.
AFTER = """
from tabur import Tabur

jobs = Tabur.from_env()

@jobs.job({alias})
def new_name(n: int) -> int:
    return n

@jobs.job(name="order", version=2)
def order(number: int) -> int:
    return number

@jobs.job(name="slow_order", version=2, isolation="process")
def slow_order(number: int) -> int:
    return number

@order.upcast(1)
@slow_order.upcast(1)
def to_number(old):
    return {{"number": {number}}}

@jobs.job(name="later", version={later})
def later(n: int) -> int:
    return n
"""
SLIPS = {"alias": "", "number": "int(old['number'])", "later": 4}
MENDED = {"alias": "aliases=['old_name']", "number": "len(old['number'])", "later": 5}


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "redis"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    store: dict[str, str] | None = None
    if request.param != "sqlite":
        server = request.getfixturevalue(f"{request.param}_server")
        store = {
            "postgres": lambda: places.postgres(server, "changed_code"),
            "mariadb": lambda: places.mariadb(server, "changed_code"),
            "redis": lambda: places.redis(server, 9),
        }[request.param]()
    made = make_workshop(tmp_path, BEFORE, monkeypatch, store)
    try:
        made.load()
        yield made
    finally:
        made.close()


def rewrite(shop: Workshop, what: dict[str, object]) -> None:
    (shop.folder / f"{shop.name}.py").write_text(AFTER.format(**what), "utf-8")
    shop.reload()


def test_it_lives_and_all_of_them_run_once_the_code_is_mended(shop: Workshop) -> None:
    module = shop.module
    ids = {
        "renamed": module.old_name.dispatch(7).id,
        "broken": module.order.dispatch("seven").id,
        "apart": module.slow_order.dispatch("seven").id,
        "newer": module.later.dispatch(7).id,
        "good": module.order.dispatch("7").id,
        "good apart": module.slow_order.dispatch("7").id,
    }
    rewrite(shop, SLIPS)

    def handle(name: str) -> JobHandle[object]:
        return shop.jobs.handle(ids[name])

    worker = shop.worker("--concurrency=2")
    for name in ("good", "good apart"):
        reaches(handle(name), State.COMPLETED)
        assert handle(name).result() == 7
    for name in ("broken", "apart"):
        reaches(handle(name), State.FAILED)
        error = handle(name).status().error
        assert error is not None
        assert error.type == "PayloadError"
        assert "the upcaster of its arguments of version 1" in error.message
    for name in ("renamed", "newer"):  # left to workers that may know them
        until(lambda name=name: handle(name).status().state is State.SCHEDULED)  # type: ignore[misc]  # bound now
        assert handle(name).status().attempt == 0
    assert worker.process.poll() is None
    worker.stop()
    worker.ended()

    shop.work("--unknown-for=0")
    for name, todo in {"renamed": "aliases=['old_name']", "newer": "version 5"}.items():
        reaches(handle(name), State.FAILED)
        error = handle(name).status().error
        assert error is not None
        assert todo in error.message

    rewrite(shop, MENDED)
    shop.run("queue:retry", "all")
    shop.work("--unknown-for=0")
    results = {name: handle(name).result() for name in ids}
    assert results == {
        **dict.fromkeys(("renamed", "newer", "good", "good apart"), 7),
        **dict.fromkeys(("broken", "apart"), 5),
    }
