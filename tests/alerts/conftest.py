"""Fixtures of the alerts' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alerts.receivers import PostOffice, Receiver, post_office, receiver
from tests.alerts.shop import Shop, mail_settings


@pytest.fixture
def post() -> Iterator[PostOffice]:
    with post_office() as made:
        yield made


@pytest.fixture
def http() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def shop(post: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    return Shop(**mail_settings(post), env="test")
