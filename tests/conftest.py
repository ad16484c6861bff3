"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy is no defect: times have tests of their own, with generous ceilings.
settings.register_profile("tabur", deadline=None)
settings.load_profile("tabur")
