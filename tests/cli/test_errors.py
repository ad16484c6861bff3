"""What goes wrong is one line that says what to do, an exit code, and no traceback."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.cli.project import Project

EVERY = [
    ("queue:failed",),
    ("queue:failed:show", "01234567"),
    ("queue:retry", "all"),
    ("queue:forget", "01234567"),
    ("queue:flush",),
    ("queue:restart",),
    ("queue:clear",),
    ("queue:monitor", "default"),
    ("queue:pause", "--all"),
    ("queue:resume", "default"),
    ("queue:hold",),
    ("queue:release-hold",),
    ("queue:work", "--once"),
]


@pytest.mark.parametrize("arguments", EVERY, ids=lambda each: str(each[0]))
def test_missing_tables(bare: Project, arguments: tuple[str, ...]) -> None:
    assert "Run: tabur migrate" in bare.error(*arguments)


@pytest.mark.parametrize("arguments", EVERY, ids=lambda each: str(each[0]))
def test_no_database(
    bare: Project, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare.folder / "notes.txt").write_text("this is no database\n" * 100, "utf-8")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{bare.folder}/notes.txt")
    assert "check DATABASE_URL" in bare.error(*arguments)


@pytest.mark.parametrize("arguments", [*EVERY, ("migrate",)], ids=lambda each: str(each[0]))
def test_no_app(bare: Project, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABUR_APP")
    said = bare.error(*arguments)
    assert "--app" in said
    assert "TABUR_APP" in said
    assert "no module" in bare.error("--app", "nowhere:jobs", *arguments)
    assert "package.module:name" in bare.error("--app", "nowhere", *arguments)
    assert "not a Tabur object" in bare.error(f"--app={bare.module}:send", *arguments)


def test_an_unreachable_store(bare: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (bare.folder / "file").write_text("", "utf-8")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{bare.folder}/file/jobs.sqlite3")
    assert "cannot be made" in bare.error("migrate")


@pytest.mark.parametrize(
    ("url", "said"), [("oracle://h/d", "does not know"), ("nonsense", "is not a URL")]
)
def test_a_store_that_is_not_known(
    bare: Project, url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert said in bare.error("migrate")


@pytest.mark.parametrize(
    "options",
    [
        "--backoff=abc",
        "--backoff=",
        "--backoff=-1",
        "--backoff=1,,2",
        "--backoff=nan",
        "--processes=0",
        "--processes=x",
        "--concurrency=0",
        "--timeout=-1",
        "--timeout=nan",
        "--sleep=inf",
        "--tries=-1",
        "--tries=1.5",
        "--max-jobs=-1",
        "--max-time=soon",
        "--memory=-5",
        "--grace=x",
        "--rest=-0.1",
        "--no-such-option",
    ],
)
def test_option_values_that_make_no_sense(project: Project, options: str) -> None:
    said = project.error("queue:work", options, code=2)
    assert options.partition("=")[0] in said
    assert "tabur queue:work --help" in said


def test_queue_names_that_make_no_sense(project: Project) -> None:
    assert "--queue" in project.error("queue:work", "--queue=high,,low")


def test_connections_that_cannot_be_worked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "'redis'" in project.error("queue:work", "redis")
    monkeypatch.setenv("QUEUE_CONNECTION", "memory")
    project.close()
    assert "QUEUE_CONNECTION=database" in project.error("queue:work")


def test_a_slip_in_the_command(project: Project) -> None:
    assert "queue:work" in project.error("queue:wrok", code=2)
    assert "There is no command 'xyz'" in project.error("xyz", code=2)
    assert "ID" in project.error("queue:forget", code=2)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\nx / 0\n", ":2: ZeroDivisionError: division by zero"),
        ("import no_such_thing\n", ":1: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("def f(:\n", ":1: SyntaxError"),
        ("raise SystemExit(3)\n", ":1: SystemExit: 3"),
        ("import json\n\njson.loads('{')\n", ":3: JSONDecodeError"),
        ("from tabur import Tabur\nTabur('rabbit')\n", ":2: ConfigError"),
        (
            (
                "from tabur import Tabur\njobs = Tabur('memory')\n\n@jobs.job(tries='x')\n"
                "def f() -> None: ...\n"
            ),
            ": ConfigError: f: tries='x'",
        ),
    ],
    ids=lambda each: each.split()[-1],
)
def test_an_error_in_the_users_module(
    bare: Project, source: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare.folder / "broken_shop.py").write_text(source, "utf-8")
    line = bare.error("--app", "broken_shop:jobs", "migrate")
    assert "broken_shop.py:" in line
    assert said in line
    assert "Traceback" not in line
    verbose = bare.run("--app", "broken_shop:jobs", "migrate", "-v", code=1).stderr
    assert "Traceback (most recent call last)" in verbose
    assert said in verbose
    monkeypatch.setenv("TABUR_DEBUG", "1")
    assert "Traceback" in bare.run("migrate", "--app", "broken_shop:jobs", code=1).stderr


def test_the_app_from_pyproject(bare: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABUR_APP")
    file = bare.folder / "pyproject.toml"
    file.write_text(f'[tool.tabur]\napp = "{bare.module}:jobs"\n', "utf-8")
    assert "DONE" in bare.run("migrate").stdout
    file.write_text("[tool.tabur\n", "utf-8")
    assert "cannot be read" in bare.error("migrate")


def test_migrate_twice(bare: Project) -> None:
    assert "DONE" in bare.run("migrate").stdout
    assert "Nothing to migrate." in bare.run("migrate").stdout


def test_tables_of_a_later_version(project: Project, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as file:
        file.execute("INSERT INTO tabur_schema VALUES (99, 0)")
    file.close()
    assert "newer Tabur" in project.error("migrate")
