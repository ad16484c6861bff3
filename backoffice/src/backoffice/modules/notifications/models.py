"""Notifications, as they are kept: a code and what fills its text, never the text itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backoffice.kernel.database import Base, UtcDateTime


class Notification(Base):
    """Something one user should know; shown in the language that user has when reading."""

    __tablename__ = "notifications"
    __table_args__ = (Index("ix_notifications_user", "business_id", "user_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    business_id: Mapped[int] = mapped_column(ForeignKey("businesses.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    code: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    link: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=None)
