"""What other modules and wiring may ask of notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from backoffice.kernel.database import now
from backoffice.modules.notifications.models import Notification


def notify(
    session: Session,
    *,
    business_id: int,
    user_id: int,
    code: str,
    params: Mapping[str, Any],
    link: str,
) -> None:
    """Leaves a notification in the caller's transaction: it is there if, and only if, the thing
    it tells of is."""
    session.add(
        Notification(
            business_id=business_id,
            user_id=user_id,
            code=code,
            params=dict(params),
            link=link,
            created_at=now(),
        )
    )
