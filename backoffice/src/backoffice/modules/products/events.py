"""What happens in products that others may care about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImportEnded:
    """An import came to its end; told in the transaction that ends it, exactly once."""

    import_id: int
    business_id: int
    user_id: int
    file_name: str
    queued: bool
    failed: bool
    imported: int
    updated: int
    rejected: int
