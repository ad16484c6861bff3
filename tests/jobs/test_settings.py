"""Settings: keyword arguments win over the environment, the environment over `.env`."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tabur import ConfigError, Tabur

OURS = ("QUEUE_", "DATABASE_", "REDIS_", "TABUR_")


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in list(os.environ):
        if variable.startswith(OURS):
            monkeypatch.delenv(variable)
    return tmp_path


def test_without_anything_the_store_is_a_file_in_var() -> None:
    settings = Tabur.from_env().settings
    assert (settings.connection, settings.queue) == ("database", "default")
    assert settings.database_url == "sqlite:///var/tabur.sqlite3"
    assert settings.attachments == Path("var/attachments")
    assert settings.keep_completed == timedelta(days=7)
    assert settings.keep_ticks == timedelta(days=30)
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


def test_what_a_laravel_project_calls_its_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text(
        "QUEUE_CONNECTION=redis\nREDIS_CLIENT=phpredis\nREDIS_HOST=10.0.0.7\nREDIS_PASSWORD=null\n"
        "REDIS_PORT=6380\nREDIS_QUEUE=shop\nREDIS_QUEUE_RETRY_AFTER=90\n",
        encoding="utf-8",
    )
    settings = Tabur.from_env().settings
    assert settings.redis_url == "redis://10.0.0.7:6380/0"
    assert (settings.queue_on("redis"), settings.queue_on("database")) == ("shop", "default")
    monkeypatch.setenv("REDIS_URL", "tls://user:pass@host:6379")
    assert Tabur.from_env().settings.redis_url == "rediss://user:pass@host:6379"


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        ({"HOST": "h"}, "redis://h:6379/0"),
        ({"PASSWORD": "p@ss/w:rd"}, "redis://:p%40ss%2Fw%3Ard@127.0.0.1:6379/0"),
        ({"HOST": "h", "USERNAME": "u", "PASSWORD": "p", "DB": "3"}, "redis://u:p@h:6379/3"),
        ({"HOST": "tls://h", "PORT": "6380"}, "rediss://h:6380/0"),
        ({"HOST": "::1"}, "redis://[::1]:6379/0"),
        ({"HOST": "/run/redis.sock", "DB": "2"}, "unix:///run/redis.sock?db=2"),
    ],
)
def test_redis_by_its_parts(
    parts: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, value in parts.items():
        monkeypatch.setenv(f"REDIS_{part}", value)
    assert Tabur.from_env().settings.redis_url == url


def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", "failover")
    monkeypatch.setenv("QUEUE_FAILOVER", "redis, database")
    monkeypatch.setenv("QUEUE_CONNECTIONS", "memory,")
    monkeypatch.setenv("REDIS_DURABILITY", "strict")
    monkeypatch.setenv("REDIS_REPLICAS", "2")
    monkeypatch.setenv("TABUR_OUTBOX_URL", "sqlite:///shop.sqlite3")
    app = Tabur.from_env()
    assert app.settings.failover == ("redis", "database")
    assert app.connections == ("redis", "database", "memory")
    assert (app.settings.redis_durability, app.settings.redis_replicas) == ("strict", 2)
    assert app.settings.outbox_url == "sqlite:///shop.sqlite3"


def test_laravels_settings_without_effect_are_accepted() -> None:
    assert Tabur(retry_after=90, block_for=5).settings.retry_after == 90


def test_the_environment_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
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
        ({"redis_durability": "much"}, "REDIS_DURABILITY='much' is not known; write fast, safe,"),
        ({"redis_replicas": "two"}, "REDIS_REPLICAS='two': a number"),
        ({"redis_url": "localhost"}, "REDIS_URL is not a URL; write redis://"),
        (
            {"conection": "sync"},
            "Unknown setting conection; there are: connection, connections, failover",
        ),
        ({"keep_completed": timedelta(minutes=5)}, "keep_completed must be at least an hour."),
        ({"keep_ticks": timedelta(hours=23)}, "keep_ticks must be at least a day."),
    ],
)
def test_what_cannot_work_is_said(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tabur.from_env(**settings)


def test_a_database_needs_a_file() -> None:
    jobs = Tabur(database_url="sqlite://")
    with pytest.raises(ConfigError, match=r"DATABASE_URL names no file\. Write sqlite:///var/"):
        jobs.migrate()


def test_what_is_secret_is_not_shown() -> None:
    settings = Tabur(
        key="secret",
        database_url="postgresql://shop:secret@h/shop",
        redis_url="redis://:secret@h:6379/0",
        outbox_url="postgresql://shop:secret@h/shop",
    ).settings
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"redis_url": "redis://:secret@h:port/0"},
        {"redis_url": "redis://:secret@[h/0"},
        {"connection": "redis", "redis_url": "redis://:secret@h:6379/x"},
        {"connection": "redis", "redis_url": "http://:secret@h/"},
        {"connection": "redis", "redis_url": "redis+sentinel://:secret@h:1,i:2/"},
        {"database_url": "shop:secret@h/shop"},
        {"database_url": "postgresql//shop:secret@h/shop"},
        {"database_url": "oracle://shop:secret@h/shop"},
        {"connection": "memory", "outbox_url": "postgresql//shop:secret@h/shop"},
        {"connection": "memory", "outbox_url": "postgresql://shop:secret@h:port/shop"},
    ],
    ids=lambda each: str(each)[-40:],
)
def test_errors_do_not_tell_passwords(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Tabur(**settings).migrate()
    assert "secret" not in str(caught.value)
    assert "secret" not in "".join(map(str, getattr(caught.value, "__notes__", ())))


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
