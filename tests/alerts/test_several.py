"""Several who look at once, in threads and in processes: each piece of news is told by one."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tabur import Tabur
from tabur.alerts.watch import Watch
from tests.alerts.receivers import Receiver
from tests.alerts.shop import Shop
from tests.alerts.stores import MakeDriver


@pytest.fixture
def shop(make_driver: MakeDriver, http: Receiver) -> Iterator[Shop]:
    shop = Shop(make_driver)
    shop.only("backlog", "disk")
    shop.app.alerts.backlog(max=5)
    shop.app.alerts.disk(percent=0.000_1)
    shop.app.alerts.timing(repeat=600, resolve_after=0)
    shop.app.alerts.slack(f"{http.url}/slack")
    yield shop
    shop.store.driver.close()


def look_at_once(watches: list[Watch]) -> None:
    """All of them, whether or not it is their turn, so that they meet at every note."""
    gate = threading.Barrier(len(watches))
    errors: list[BaseException] = []

    def look(watch: Watch) -> None:
        gate.wait(30)
        try:
            watch.look(force=True)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=look, args=(watch,)) for watch in watches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []


def lines(http: Receiver) -> list[str]:
    """The first line of every alert that was told, several in one message or not."""
    found = []
    for request in http.requests:
        text = request.json["text"].replace("*", "")
        found += [line for line in text.splitlines() if line.startswith("[")]
    found = [line for line in found if not re.search(r"\] \d+ alerts$", line)]
    return sorted(line.partition("]")[2].strip() for line in found)


def test_in_threads_one_tells(shop: Shop, http: Receiver) -> None:
    queues = ["a", "b", "c", "d"]
    for queue in queues:
        shop.fill(6, queue)
    watches = [Watch(shop.app, host="here") for _ in range(6)]
    look_at_once(watches)
    told = [f"Queue backlog detected: 6 jobs wait on queue {queue}" for queue in queues]
    assert [each for each in lines(http) if "disk" not in each] == told
    assert len([each for each in lines(http) if "disk" in each]) == 1

    shop.clock.advance(601)
    look_at_once(watches)
    again = [each for each in lines(http) if each.startswith("Still: Queue")]
    assert again == [f"Still: {each}" for each in told]

    for queue in queues:
        shop.empty(queue)
    for _ in range(3):
        shop.clock.advance(1)
        look_at_once(watches)
    over = [each for each in lines(http) if each.startswith("Resolved: Queue")]
    assert over == [f"Resolved: {each}" for each in told]


def test_one_looks_where_several_come_in_turn(shop: Shop, http: Receiver) -> None:
    shop.fill(6)
    watches = [Watch(shop.app, host="here") for _ in range(3)]
    shop.clock.advance(60)
    assert [watch.look().looked for watch in watches] == [True, False, False]
    shop.clock.advance(44)
    assert not any(watch.look().looked for watch in watches)
    shop.clock.advance(2)
    assert [watch.look().looked for watch in watches] == [True, False, False]


def test_who_dies_over_the_news_is_followed_by_another(shop: Shop, http: Receiver) -> None:
    """It is told at least once, and again where nobody can know whether it was told."""
    shop.fill(6)
    dead = Watch(shop.app, host="here")
    dead._sending.send = lambda post: (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign]  # dies
    with pytest.raises(SystemExit):
        dead.look()
    assert http.requests == []
    shop.clock.advance(60)
    assert Watch(shop.app, host="here").look().sent == {}, "it may be about it still"
    shop.clock.advance(60)
    sent = Watch(shop.app, host="here").look().sent
    assert set(sent) == {"slack"}
    assert "Queue backlog detected: 6 jobs wait on queue mail" in lines(http)


APP = """
from tabur import Tabur
jobs = Tabur(connection="database", database_url={url!r})
jobs.alerts.off("disk", "backlog_age", "no_worker")
jobs.alerts.backlog(max=5)
jobs.alerts.slack({slack!r})

@jobs.job(queue="mail")
def send() -> None: ...
"""

LOOK = """
import sys
from tabur.alerts.watch import Watch
from shop import jobs
watch = Watch(jobs)
jobs.driver.notes.read("")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    watch.look(force=True)
"""


@pytest.mark.timeout(120)
def test_in_processes_one_tells(tmp_path: Path, http: Receiver) -> None:
    url = f"sqlite:///{tmp_path}/jobs.sqlite3"
    (tmp_path / "shop.py").write_text(APP.format(url=url, slack=f"{http.url}/slack"), "utf-8")
    app = Tabur(database_url=url)
    app.migrate()
    for queue in ("a", "b", "c"):

        @app.job(name=queue, queue=queue)
        def send() -> None: ...

        app.dispatch_many(send() for _ in range(6))
    app.close()
    lookers = [
        subprocess.Popen(
            [sys.executable, "-c", LOOK],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for looker in lookers:
        assert looker.stdout is not None
        assert looker.stdout.readline() == "ready\n"
    for looker in lookers:
        assert looker.stdin is not None
        looker.stdin.write("\n")
        looker.stdin.flush()
    for looker in lookers:
        looker.communicate(timeout=90)
        assert looker.returncode == 0
    assert lines(http) == [f"Queue backlog detected: 6 jobs wait on queue {q}" for q in "abc"]
