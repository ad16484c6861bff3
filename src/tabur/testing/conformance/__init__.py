"""The behavioural suite of the driver contract: a driver's own test is a call to it.

```python
@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=lambda each: each.__name__)
def test_contract(obligation: Obligation) -> None:
    check(obligation, lambda clock: MyDriver(clock=clock))
```

Each obligation is a function named for what it asks. Needs the extra `testing`.
"""

from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module.stem}" for module in Path(__file__).parent.glob("[!_]*.py"))
)

from tabur.testing.conformance.subject import (  # noqa: E402  # rewritten first
    CRASH,
    Clock,
    MakeDriver,
    Subject,
    move,
)
from tabur.testing.conformance.suite import (  # noqa: E402  # rewritten first
    ACROSS_PROCESSES,
    FENCING,
    OBLIGATIONS,
    Obligation,
    check,
)

__all__ = [
    "ACROSS_PROCESSES",
    "CRASH",
    "FENCING",
    "OBLIGATIONS",
    "Clock",
    "MakeDriver",
    "Obligation",
    "Subject",
    "check",
    "move",
]
