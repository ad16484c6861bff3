"""What a run has found is told truly: ratios, lost cells, targets, pictures."""

import json
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import report
from bench.figures import Figures
from bench.plan import Plan
from bench.report.kept import Kept
from bench.report.plot import Bar, Group, bars, columns
from bench.report.tables import lost, store_table
from bench.session import Session


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    found = replace(report.begin(Plan(), Figures()), path=tmp_path / "run.json")
    found.stores["postgres"] = {"title": "PostgreSQL", "version": "15", "durability": "fsync=on"}
    figures = found.figures
    for value in (1_900.0, 2_000.0, 9_000.0):
        figures.add("postgres", "dispatch.one", "tabur", value)
    figures.add("postgres", "dispatch.one", "bare", 4_000)
    figures.add("postgres", "dispatch.one", "swift", 2_500)
    figures.add("postgres", "dispatch.one", "slow", 1_000)
    figures.add("postgres", "drain.async.1x200", "tabur", 30_000)
    figures.add("postgres", "drain.1", "swift", 15_000)
    figures.add("postgres", "pickup.p50", "tabur", 1.5)
    figures.add("postgres", "pickup.p50", "swift", 3.0)
    return found


def test_the_median_stands_beside_the_others_with_our_multiple_of_theirs(kept: Kept) -> None:
    table = store_table(kept, "postgres")

    assert "| dispatch one by one | 2,000 jobs/s | 4,000 (× 0.50) | 1,000 (× 2.00) |" in table


def test_what_a_rival_does_better_is_bold(kept: Kept) -> None:
    table = store_table(kept, "postgres")

    assert "**2,500 (× 0.80)**" in table
    assert "| pick-up when idle, p50 | 1.50 ms |  |  | 3.00 (× 0.50) | ≤ 2 | yes |" in table


def test_what_is_lost_is_told_once_more_with_the_target(kept: Kept) -> None:
    (line,) = lost(kept)

    assert line == (
        "- PostgreSQL: dispatch one by one: 2,000 jobs/s"
        " (swift 2,500; target ≥ 65% of bare, ≥ 1 × the best rival)"
    )


def test_a_drain_is_compared_with_the_rivals_own_processes(kept: Kept) -> None:
    assert "| 30,000 jobs/s |  |  | 15,000 (× 2.00) | ≥ 20,000, ≥ 1.5 × the best rival | yes |" in (
        store_table(kept, "postgres")
    )


def test_runs_are_kept_and_put_together(kept: Kept, tmp_path: Path) -> None:
    report.write(kept)
    later = replace(kept, path=tmp_path / "later.json", figures=Figures())
    later.figures.add("postgres", "dispatch.one", "tabur", 5_000)
    report.write(later)

    whole = report.read([kept.path, later.path])

    assert whole.figures.median("postgres", "dispatch.one", "tabur") == 5_000
    assert whole.figures.median("postgres", "drain.1", "swift") == 15_000
    assert json.loads(kept.path.read_text())["machine"]["cores"]


def test_a_part_that_fails_is_told_and_the_rest_goes_on() -> None:
    session = Session(Plan(), {})

    with session.attempt("drain redis swift", seconds=5):
        (Path(__file__) / "nowhere").read_text()
    with session.attempt("drain redis slow", seconds=0.05):
        time.sleep(5)

    assert session.figures.failures["drain redis swift"].startswith("NotADirectoryError")
    assert session.figures.failures["drain redis slow"] == "TimeoutError: not done after 0.05 s"


def test_the_page_gets_tables_and_pictures_between_its_marks(kept: Kept, tmp_path: Path) -> None:
    page = tmp_path / "bench.md"
    page.write_text("before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n")
    kept.figures.series["postgres.sustained.tabur"] = [20_000.0, 19_000.0]

    report.write_docs(kept, tmp_path)

    text = page.read_text()
    assert text.startswith("before\n<!-- bench: begin -->\n")
    assert text.endswith("\n<!-- bench: end -->\nafter\n")
    assert "old" not in text
    assert "### PostgreSQL 15" in text
    for name in ("bench-drain", "bench-sustained-postgres-tabur"):
        assert f"(images/{name}.svg)" in text
        assert (tmp_path / "images" / f"{name}.svg").exists()


def test_pictures_are_well_formed() -> None:
    group = Group(title="SQLite <3", bars=[Bar(label="Tabur", value=2.0, text="2 jobs/s")])
    for picture in (bars("Drained & done", [group]), columns("Rates", [1, 2], foot="seconds")):
        root = ElementTree.fromstring(picture)  # noqa: S314 - our own

        assert root.tag == "{http://www.w3.org/2000/svg}svg"
