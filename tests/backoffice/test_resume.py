"""An import and its worker, killed in the middle: nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from backoffice.kernel.settings import Settings
from backoffice.modules.notifications.models import Notification
from backoffice.modules.products.models import ImportRejection, Product, ProductImport
from backoffice.modules.products.repository import apply_chunk
from backoffice.modules.products.rules import ImportState
from backoffice.modules.products.service import Importer
from backoffice.wiring import BackOffice
from tabur.errors import JobCancelled
from tests.backoffice.conftest import SAMPLES
from tests.backoffice.helpers import Shop, csv_file, many, xlsx_file

ROWS = 20_000


@pytest.fixture(scope="session")
def long_list(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, int]:
    """20,000 rows by the samples' own script, and how many of them are wrong."""
    out = tmp_path_factory.mktemp("lists") / "long.csv"
    script = SAMPLES / "make_products.py"
    told = subprocess.run(
        [sys.executable, script, "--rows", str(ROWS), "--out", out],
        check=True,
        capture_output=True,
        text=True,
    )
    return out.read_bytes(), int(told.stdout.split(" rows, ")[1].split()[0])


@contextmanager
def working(settings: Settings, log: Path) -> Iterator[psutil.Process]:
    """A real worker on the imports' queue, with its children; gone at the end whatever happens."""
    environment = os.environ | {
        "BACKOFFICE_VAR": str(settings.var),
        "BACKOFFICE_SECRET": settings.secret,
        "BACKOFFICE_DATABASE_URL": settings.database_url,
    }
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [
                sys.executable, "-m", "tabur", "--app", "backoffice.worker:jobs", "queue:work",
                "--queue", "imports,default",
            ],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    process = psutil.Process(worker.pid)
    try:
        yield process
        worker.terminate()
        worker.wait(20)
    finally:
        family = [process, *_children(process)] if worker.poll() is None else []
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        worker.wait(10)


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _until(what: Callable[[], bool], *, seconds: float, log: Path) -> float:
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            pytest.fail(f"not within {seconds} s\n{log.read_text()[-3000:]}")
        time.sleep(0.005)
    return time.monotonic() - began


def _import(backoffice: BackOffice, import_id: int = 1) -> ProductImport:
    with backoffice.sessions() as session:
        return session.get_one(ProductImport, import_id)


def _counts(work: ProductImport) -> tuple[int, int, int, int]:
    return work.done, work.imported, work.updated, work.rejected


def test_killed_again_and_again_it_ends_with_the_counts_it_would_have_had(
    shop: Shop, tmp_path: Path, long_list: tuple[bytes, int]
) -> None:
    content, wrong = long_list
    backoffice, log = shop.backoffice, tmp_path / "worker.log"
    shop.upload(content)

    with working(backoffice.settings, log) as worker:
        for goal in (2_000, 9_000):
            _kill_at(goal, backoffice, worker, log)
        _until(lambda: _import(backoffice).state == ImportState.COMPLETED, seconds=40, log=log)

    assert _counts(_import(backoffice)) == (ROWS, ROWS - wrong, 0, wrong)
    with backoffice.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Product)) == ROWS - wrong
        assert session.scalar(select(func.count()).select_from(ImportRejection)) == wrong
        assert session.scalar(select(func.count()).select_from(Notification)) == 1


def _kill_at(goal: int, backoffice: BackOffice, worker: psutil.Process, log: Path) -> None:
    """Kills everything below the supervisor once `goal` rows are done; waits for the next ones."""
    _until(lambda: _import(backoffice).done >= goal, seconds=30, log=log)
    family = _children(worker)
    assert family
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGKILL)
    seen = _import(backoffice).done
    assert seen < ROWS
    after = _until(lambda: _import(backoffice).done > seen, seconds=20, log=log)
    assert after < 10, "two seconds is the target; a busy machine gets five times that"


class Cut(BaseException):
    """What a kill is to the code it hits."""


class _CutAfter:
    """A run that is cut off when it is about to begin the chunk after `chunks`."""

    locale = None

    def __init__(self, chunks: int, error: BaseException) -> None:
        self.left = chunks
        self.error = error
        self.warned = 0

    def progress(self, done: int, total: int | None = None, *, unit: str | None = None) -> None:
        pass

    def warn(self, message: str, *, count: int = 1) -> None:
        self.warned += count

    def check_cancelled(self) -> None:
        if self.left == 0:
            raise self.error
        self.left -= 1


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("chunks", [0, 1, 2, 3])
def test_cut_off_at_any_chunk_it_goes_on_where_it_was(shop: Shop, kind: str, chunks: int) -> None:
    rows = [*many(1_200), ("A00001", "Twice", "5"), *many(300, prefix="C"), ("X", "y", "")]
    content = csv_file(rows) if kind == "csv" else xlsx_file(rows)
    importer: Importer = shop.backoffice.products._importer
    shop.upload(content, f"list.{kind}")

    with pytest.raises(Cut):
        importer.run(1, _CutAfter(chunks, Cut()))
    half = _counts(_import(shop.backoffice))
    second = _CutAfter(99, Cut())
    importer.run(1, second)

    assert half[0] == 500 * chunks
    assert _counts(_import(shop.backoffice)) == (1_502, 1_500, 0, 2)
    assert second.warned == 2, "warnings of the attempt before count too"
    assert shop.count_products() == 1_500
    [first, second_line] = shop.rejected(1)[1:]
    assert first.startswith("1202,")
    assert "Row 3 has the same SKU" in first
    assert second_line.startswith("1503,")


def test_a_chunk_that_fails_leaves_neither_rows_nor_cursor(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.upload(csv_file(many(600)))

    def cut_before_commit(*args: object, **kwargs: object) -> None:
        apply_chunk(*args, **kwargs)  # type: ignore[arg-type]  # passed on
        raise Cut

    monkeypatch.setattr("backoffice.modules.products.repository.apply_chunk", cut_before_commit)
    with pytest.raises(Cut):
        shop.backoffice.products._importer.run(1, _CutAfter(99, Cut()))

    assert _counts(_import(shop.backoffice)) == (0, 0, 0, 0)
    assert shop.count_products() == 0


def test_a_worker_taken_for_dead_and_its_successor_do_no_row_twice(shop: Shop) -> None:
    importer = shop.backoffice.products._importer
    shop.upload(csv_file([*many(1_400), ("X", "y", "")]))

    class Frozen(_CutAfter):
        """Stops before its second chunk until another has finished the import."""

        def check_cancelled(self) -> None:
            if self.left == 1:
                importer.run(1, _CutAfter(99, Cut()))
            self.left -= 1

    summary = importer.run(1, Frozen(2, Cut()))

    assert (summary.rows, summary.imported, summary.updated, summary.rejected) == (
        1_401,
        1_400,
        0,
        1,
    )
    assert shop.count_products() == 1_400
    assert shop.client.get("/notifications").text.count('class="unread"') == 1


def test_called_back_in_the_middle_it_keeps_what_it_has_and_says_so(shop: Shop) -> None:
    shop.upload(csv_file(many(1_400)))

    with pytest.raises(JobCancelled):
        shop.backoffice.products._importer.run(1, _CutAfter(2, JobCancelled("1")))

    assert _counts(_import(shop.backoffice)) == (1_000, 1_000, 0, 0)
    assert "The import was cancelled. What was imported until then stays." in (
        shop.client.get("/imports/1").text
    )
