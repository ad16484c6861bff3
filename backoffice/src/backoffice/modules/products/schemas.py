"""What leaves the module: counts of an import, as the job's result and for API clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """How an import ended; rows = imported + updated + rejected."""

    import_id: int
    rows: int
    imported: int
    updated: int
    rejected: int
