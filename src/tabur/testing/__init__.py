"""For tests: the fake queue and the fake run for applications, and for drivers the suite that each
has to pass."""

from tabur.dispatch.recording import FakeQueue
from tabur.testing.running import FakeAttachment, FakeRun, run

__all__ = ["FakeAttachment", "FakeQueue", "FakeRun", "run"]
