"""How many stories the state machines try: few in `make test`, five times as many in
`make test-all`."""

from __future__ import annotations

import pytest
from hypothesis import settings

#: Of the profile that tests/conftest.py loads, and of the one that `make test-all` asks for.
USUAL, THOROUGH = 100, 500


def effort(stories: int, steps: int = 40) -> settings:
    """`stories` of up to `steps` each, at the usual effort. What is slow is no defect here."""
    return settings(
        max_examples=round(stories * _share()), stateful_step_count=steps, deadline=None
    )


def ceiling() -> pytest.MarkDecorator:
    """The time that a machine may take, seldom a tenth of it: where it fails, finding the shortest
    story takes its time. (Whom it catches inside a story Hypothesis calls flaky.)"""
    return pytest.mark.timeout(300 * _share())


def _share() -> float:
    return settings().max_examples / USUAL
