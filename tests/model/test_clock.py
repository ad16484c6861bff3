"""Two clocks: how far they are apart, where that matters."""

from __future__ import annotations

import pytest

from tabur.model.clock import SECOND, apart, now_us


@pytest.mark.parametrize("seconds", [0, 0.5, -0.5])
def test_less_than_a_second_counts_as_nothing(seconds: float) -> None:
    assert apart(now_us() + int(seconds * SECOND)) == 0


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_more_is_told(seconds: int) -> None:
    assert apart(now_us() + seconds * SECOND) == pytest.approx(seconds * SECOND, abs=SECOND)
