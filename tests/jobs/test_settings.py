"""Settings: keyword arguments win over the environment, the environment over `.env`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, Tabur

VARIABLES = ("QUEUE_CONNECTION", "DATABASE_URL", "TABUR_KEY", "TABUR_ENV", "TABUR_ATTACHMENTS")


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_without_anything_the_store_is_a_file_in_var() -> None:
    settings = Tabur.from_env().settings
    assert (settings.connection, settings.queue) == ("database", "default")
    assert settings.database_url == "sqlite:///var/tabur.sqlite3"
    assert settings.attachments == Path("var/attachments")
    assert settings.keep_completed == timedelta(days=7)
    assert (settings.key, settings.env) == (None, "production")


def test_a_file_an_environment_and_keywords(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "QUEUE_CONNECTION=sync\nTABUR_ENV=local\nTABUR_KEY=from-file\nTABUR_ATTACHMENTS=files\n",
        encoding="utf-8",
    )
    assert Tabur.from_env().connection == "sync"
    monkeypatch.setenv("QUEUE_CONNECTION", "memory")
    monkeypatch.setenv("TABUR_KEY", "from-environment")
    found = Tabur.from_env(queue="shop", key="from-keyword")
    assert found.connection == "memory"
    assert found.key == "from-keyword"
    assert (found.settings.env, found.settings.queue) == ("local", "shop")
    assert found.settings.attachments == Path("files")


def test_the_environment_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    Path(".env").write_text("QUEUE_CONNECTION=sync\n", encoding="utf-8")
    Tabur.from_env()
    assert "QUEUE_CONNECTION" not in os.environ


def test_another_file_or_none() -> None:
    Path(".env").write_text("QUEUE_CONNECTION=sync\n", encoding="utf-8")
    Path("test.env").write_text("QUEUE_CONNECTION=memory\n", encoding="utf-8")
    assert Tabur.from_env("test.env").connection == "memory"
    assert Tabur.from_env(None).connection == "database"
    assert Tabur.from_env("missing.env").connection == "database"


def test_the_constructor_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", "sync")
    assert Tabur().connection == "database"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"connection": "rabbit"},
            "QUEUE_CONNECTION='rabbit' is not known; write database, redis, sync, memory, failover",
        ),
        ({"conection": "sync"}, "Unknown setting conection; there are: connection, connections, failover"),
        ({"keep_completed": timedelta(minutes=5)}, "keep_completed must be at least an hour."),
    ],
)
def test_what_cannot_work_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tabur.from_env(**settings)


def test_a_database_needs_a_file() -> None:
    jobs = Tabur(database_url="sqlite://")
    with pytest.raises(ConfigError, match=r"DATABASE_URL names no file\. Write sqlite:///var/"):
        jobs.migrate()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(Tabur(key="secret").settings)


def test_install_is_for_the_database() -> None:
    from sqlalchemy import create_engine

    with pytest.raises(ConfigError, match=r"install\(\) is for QUEUE_CONNECTION=database"):
        Tabur(connection="sync").install(create_engine("sqlite://"))


def test_closed_it_opens_again(clean: Path) -> None:
    jobs = Tabur(database_url=f"sqlite:///{clean / 'jobs.sqlite3'}")

    @jobs.job()
    def work() -> None: ...

    jobs.migrate()
    handle = work.dispatch()
    jobs.close()
    assert jobs.handle(handle.id).status().state == "pending"
    jobs.close()
    jobs.close()
