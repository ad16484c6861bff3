"""A project, and the doctor who looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project, make_project
from tests.operations.doctor.asking import Ask, ask

KEY = "k" * 43


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """In production, with a key and without tables."""
    project = make_project(tmp_path, monkeypatch)
    monkeypatch.setenv("TABUR_ENV", "production")
    monkeypatch.setenv("TABUR_KEY", KEY)
    yield project
    project.close()


@pytest.fixture
def project(bare: Project) -> Project:
    bare.jobs.migrate()
    return bare


@pytest.fixture
def doctor(bare: Project) -> Ask:
    """What is found, by name; each call looks at the settings anew."""

    def doctor(*options: str, connection: str | None = None) -> dict[str, dict[str, str]]:
        bare.close()
        return ask(bare, *options, connection=connection)

    return doctor


Setting = Callable[[str, str], None]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    return monkeypatch.setenv
