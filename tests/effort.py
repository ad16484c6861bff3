"""How many stories the state machines try: few in `make test`, five times as many in
`make test-all`."""

from __future__ import annotations

from hypothesis import settings

#: Of the profile that tests/conftest.py loads, and of the one that `make test-all` asks for.
USUAL, THOROUGH = 100, 500


def effort(stories: int, steps: int = 40) -> settings:
    """`stories` of up to `steps` each, at the usual effort. What is slow is no defect here."""
    share = settings().max_examples / USUAL
    return settings(max_examples=round(stories * share), stateful_step_count=steps, deadline=None)
