"""make:job: templates that run as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabur import State
from tests.cli.project import Project


def add_import(project: Project, said: str) -> None:
    """Do what the command says."""
    line = said.strip().splitlines()[-1].strip()
    assert line.startswith("from jobs")
    file = project.folder / f"{project.module}.py"
    file.write_text(file.read_text("utf-8") + f"\n{line}\n", "utf-8")


@pytest.fixture(autouse=True)
def forget_modules(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's folder has a package `jobs` of its own."""
    import sys

    for name in [each for each in sys.modules if each == "jobs" or each.startswith("jobs.")]:
        monkeypatch.delitem(sys.modules, name)
    project.close()


@pytest.mark.parametrize(
    ("arguments", "file", "name"),
    [
        (["SendInvoice"], "jobs/send_invoice.py", "SendInvoice"),
        (["send_invoice"], "jobs/send_invoice.py", "SendInvoice"),
        (["SendInvoice", "--function"], "jobs/send_invoice.py", "send_invoice"),
        (["billing/SendPDFInvoice"], "jobs/billing/send_pdf_invoice.py", "SendPDFInvoice"),
    ],
)
def test_a_new_job_runs_as_it_stands(
    project: Project, arguments: list[str], file: str, name: str
) -> None:
    said = project.run("make:job", *arguments).stdout
    assert f"Job [{file}] created." in said
    add_import(project, said)

    assert name in [each.name for each in project.jobs.registry]
    module = file.removesuffix(".py").replace("/", ".")
    job = getattr(__import__(module, fromlist=[name]), name)
    handle = job(limit=4).dispatch()
    project.work()
    assert handle.status().state is State.COMPLETED
    assert handle.result() == 4


def test_what_is_there_is_never_overwritten(project: Project) -> None:
    project.run("make:job", "SendInvoice")
    file = project.folder / "jobs/send_invoice.py"
    file.write_text("mine", "utf-8")
    assert "is there already" in project.error("make:job", "SendInvoice")
    assert file.read_text("utf-8") == "mine"


def test_a_folder_of_ones_own(project: Project) -> None:
    project.run("make:job", "Tidy", "--path=work/night")
    assert (project.folder / "work/night/tidy.py").is_file()


def test_names_that_are_none(project: Project) -> None:
    for name in ("class", "send-invoice", "1st", "a/../b", ""):
        assert "is no name" in project.error("make:job", name, code=2)


def test_an_app_that_is_not_here(project: Project) -> None:
    assert "no such module" in project.error("--app", "nowhere.main:jobs", "make:job", "Tidy")


def test_a_folder_that_cannot_be_made(project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert "cannot be written" in project.error("make:job", "Tidy", "--path=file/inside")


def test_the_app_is_found_in_src_without_being_run(project: Project) -> None:
    source = project.folder / "src" / "shop"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("raise SystemExit", "utf-8")
    (source / "main.py").write_text("raise SystemExit", "utf-8")
    said = project.run("--app", "shop.main:app.jobs", "make:job", "Tidy").stdout
    assert "from shop.jobs import tidy" in said
    written = (source / "jobs/tidy.py").read_text("utf-8")
    assert "from shop.main import app\n" in written
    assert "@app.jobs.register" in written
