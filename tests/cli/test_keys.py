"""`key:generate` and `keys:rotate`."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tabur.deploy.envfile import read
from tests.cli.project import Project

ENCRYPTED = """
from tabur import Tabur

jobs = Tabur.from_env()

@jobs.job(encrypted=True)
def pay(card: str) -> str:
    return card
"""


def settings(file: Path) -> dict[str, str]:
    return read(file.read_text("utf-8"))


@pytest.fixture
def env(bare: Project) -> Path:
    return bare.folder / ".env"


def test_a_key_is_written_for_its_owner_alone(bare: Project, env: Path) -> None:
    assert "Application key set successfully." in bare.run("key:generate").stdout
    assert len(settings(env)["TABUR_KEY"]) >= 32
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert list(bare.folder.glob(".env?*")) == [], "nothing is left beside it"


def test_what_else_is_there_stays(bare: Project, env: Path) -> None:
    env.write_text("# ours\nA=1\nTABUR_KEY=\nexport B='2 3' # two\n", "utf-8")
    env.chmod(0o640)
    bare.run("key:generate")
    lines = env.read_text("utf-8").splitlines()
    assert [lines[0], lines[1], lines[3]] == ["# ours", "A=1", "export B='2 3' # two"]
    assert lines[2].startswith("TABUR_KEY=")
    assert len(lines) == 4
    assert stat.S_IMODE(env.stat().st_mode) == 0o640


def test_a_file_that_is_elsewhere_stays_there(bare: Project, env: Path) -> None:
    kept = bare.folder / "kept"
    kept.touch()
    env.symlink_to(kept)
    bare.run("key:generate")
    assert env.is_symlink()
    assert "TABUR_KEY=" in kept.read_text("utf-8")


def test_a_key_that_is_there_is_never_lost(bare: Project, env: Path) -> None:
    env.write_text("TABUR_KEY=first\n", "utf-8")
    assert "--force" in bare.error("key:generate")
    assert env.read_text("utf-8") == "TABUR_KEY=first\n"
    said = bare.run("key:generate", "--force").stdout
    assert "tabur keys:rotate" in said
    second = settings(env)["TABUR_KEY"]
    bare.run("key:generate", "--force")
    found = settings(env)
    assert found["TABUR_PREVIOUS_KEYS"] == f"{second},first"
    assert found["TABUR_KEY"] not in ("first", second)


def test_a_key_that_no_list_can_hold_is_left_alone(bare: Project, env: Path) -> None:
    env.write_text("TABUR_KEY='a,b'\n", "utf-8")
    assert "comma" in bare.error("key:generate", "--force")
    assert env.read_text("utf-8") == "TABUR_KEY='a,b'\n"


def test_of_two_lines_the_last_does_not_win(bare: Project, env: Path) -> None:
    env.write_text("export TABUR_KEY=one\nTABUR_KEY=two\n", "utf-8")
    bare.run("key:generate", "--force")
    assert settings(env)["TABUR_PREVIOUS_KEYS"] == "two"
    assert env.read_text("utf-8").count("TABUR_KEY=") == 1


def test_it_may_be_shown_only(bare: Project, env: Path) -> None:
    shown = {bare.run("key:generate", "--show").stdout.strip() for _ in range(2)}
    assert len(shown) == 2
    assert all(len(key) == 43 for key in shown)
    assert not env.exists()


def test_another_file(bare: Project, env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABUR_KEY", "")  # put back what the command loads from the file
    other = bare.folder / "production.env"
    other.write_text("A=1\n", "utf-8")
    bare.run("--env-file", str(other), "key:generate")
    assert set(settings(other)) == {"A", "TABUR_KEY"}
    assert not env.exists()


def test_what_the_environment_has_wins_and_is_told(
    bare: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABUR_KEY", "exported")
    assert "set in the environment" in bare.run("key:generate").stderr


def test_it_needs_no_app(
    tmp_path: Path, bare: Project, env: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TABUR_APP")
    bare.run("key:generate")
    assert env.exists()


def test_a_place_that_cannot_be_written_is_told(bare: Project, env: Path) -> None:
    env.mkdir()
    assert "cannot be" in bare.error("key:generate")


def test_rotation_from_one_key_to_the_next(project: Project, env: Path) -> None:
    (project.folder / f"{project.module}.py").write_text(ENCRYPTED, "utf-8")
    project.close()  # it was imported before it was written anew
    project.run("key:generate")
    done, waiting = project.dispatch("pay", card="4111"), ""
    project.work()
    waiting = project.dispatch("pay", card="4222")
    project.run("key:generate", "--force")
    project.close()

    assert "3 bodies of 2 jobs sealed anew" in project.run("keys:rotate").stdout
    assert "0 bodies of 2 jobs" in project.run("keys:rotate").stdout
    kept = [line for line in env.read_text("utf-8").splitlines() if "PREVIOUS" not in line]
    env.write_text("\n".join(kept), "utf-8")
    project.close()
    project.work()
    assert project.jobs.handle(done).result() == "4111"
    assert project.jobs.handle(waiting).result() == "4222"
    assert "Arguments    …" in project.run("queue:failed:show", waiting).stdout


def test_rotation_fails_where_a_key_is_lost(project: Project, env: Path) -> None:
    (project.folder / f"{project.module}.py").write_text(ENCRYPTED, "utf-8")
    project.close()
    project.run("key:generate")
    lost = [project.dispatch("pay", card="4111") for _ in range(7)]
    env.unlink()
    project.run("key:generate")
    project.close()
    said = project.run("keys:rotate", code=1).stdout
    assert "TABUR_PREVIOUS_KEYS" in said
    assert "and 2 more" in said
    assert sum(each in said for each in lost) == 5
