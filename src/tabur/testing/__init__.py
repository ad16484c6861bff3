"""For tests: the fake queue for applications, and for drivers the suite that each has to pass."""

from tabur.dispatch.recording import FakeQueue

__all__ = ["FakeQueue"]
