"""For tests: the fake queue for applications, and for drivers the suite that each has to pass."""

from tabur.testing.fake import FakeQueue

__all__ = ["FakeQueue"]
