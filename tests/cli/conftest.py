"""Fixtures of the commands' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project, make_project


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project whose tables have not been made."""
    project = make_project(tmp_path, monkeypatch)
    yield project
    project.close()


@pytest.fixture
def project(bare: Project) -> Project:
    bare.jobs.migrate()
    return bare
