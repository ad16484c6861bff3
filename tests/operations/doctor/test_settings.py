"""Settings that are wrong where the app runs; and what is never printed."""

from __future__ import annotations

import pytest

from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting


@pytest.mark.parametrize(
    ("connection", "name"), [("sync", "sync-in-production"), ("memory", "memory-in-production")]
)
def test_connections_without_workers_in_production(
    connection: str, name: str, doctor: Ask, setting: Setting
) -> None:
    setting("QUEUE_CONNECTION", connection)
    found = doctor()[name]
    assert found["level"] == "error"
    assert f"QUEUE_CONNECTION={connection}" in found["what"]
    assert "QUEUE_CONNECTION=database" in found["todo"]
    setting("TABUR_ENV", "local")
    assert doctor()[connection]["level"] == "note"


def test_sync_behind_a_failover(doctor: Ask, setting: Setting) -> None:
    setting("QUEUE_CONNECTION", "failover")
    setting("QUEUE_FAILOVER", "database,sync")
    assert "sync-in-production" in doctor()


def test_a_key_that_is_missing_or_short(
    project: Project, doctor: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TABUR_KEY")
    assert doctor()["key-missing"]["level"] == "warning"
    monkeypatch.setenv("TABUR_KEY", "tiger-stripes")
    found = doctor()["key-weak"]
    assert found["level"] == "warning"
    assert "tiger-stripes" not in found["what"]
    monkeypatch.setenv("TABUR_ENV", "local")
    assert doctor()["key-weak"]["level"] == "note"


def test_jobs_that_nothing_can_encrypt(
    project: Project, doctor: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from tabur import Tabur\njobs = Tabur.from_env()\n"
    source += "@jobs.job(encrypted=True)\ndef pay(card: str) -> None: ...\n"
    (project.folder / f"{project.module}.py").write_text(source, "utf-8")
    assert "key-missing" not in doctor()
    monkeypatch.delenv("TABUR_KEY")
    monkeypatch.setenv("TABUR_ENV", "local")
    found = doctor()["key-missing"]
    assert found["level"] == "error"
    assert "pay cannot be encrypted" in found["what"]
    assert "tabur key:generate" in found["todo"]


def test_keys_are_not_printed(project: Project, doctor: Ask, setting: Setting) -> None:
    setting("TABUR_PREVIOUS_KEYS", "tiger-stripes-of-before")
    setting("DATABASE_URL", "sqlite:///tiger-stripes-of-before")
    assert "tiger-stripes" not in str(doctor())


def test_settings_without_effect(project: Project, doctor: Ask, setting: Setting) -> None:
    setting("REDIS_QUEUE_RETRY_AFTER", "90")
    found = doctor()["setting-ignored"]
    assert found["level"] == "note"
    assert "REDIS_QUEUE_RETRY_AFTER=90 is ignored" in found["what"]


def test_an_app_that_cannot_be_loaded(project: Project, doctor: Ask) -> None:
    (project.folder / "broken_app.py").write_text("1 / 0\n", "utf-8")
    found = doctor("--app", "broken_app:jobs")
    assert list(found) == ["app-not-loaded"]
    assert "broken_app.py:1: ZeroDivisionError" in found["app-not-loaded"]["what"]
    assert "no module 'nowhere'" in doctor("--app", "nowhere:jobs")["app-not-loaded"]["what"]


@pytest.mark.parametrize("password", ["hush-hush", "h%40sh%2Fhush", "pw"])
def test_no_password_is_printed(password: str, project: Project, setting: Setting) -> None:
    setting("QUEUE_CONNECTIONS", "redis")
    setting("DATABASE_URL", f"postgresql://shop:{password}@127.0.0.1:1/shop")
    setting("REDIS_URL", f"redis://shop:{password}@127.0.0.1:1/0")
    project.close()
    for options in ((), ("--json",)):
        shown = project.run("doctor", *options, code=1).output
        assert "store-unreachable" in shown
        assert "127.0.0.1:1" in shown
        assert f":{password}" not in shown
        assert "h@sh/hush" not in shown
        assert "hush-hush" not in shown
