"""From figures to tables, pictures and docs/bench.md."""

from bench.report.docs import text, write_docs
from bench.report.kept import ROOT, Kept, begin, read, remember, write

__all__ = ["ROOT", "Kept", "begin", "read", "remember", "text", "write", "write_docs"]
