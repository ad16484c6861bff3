"""Reading notifications."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from backoffice.kernel.database import now
from backoffice.modules.accounts.api import Member
from backoffice.modules.notifications.models import Notification

PAGE = 50


class Notifications:
    """The bell and its page."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def unread(self, member: Member) -> int:
        with self._sessions() as session:
            count = select(func.count()).select_from(Notification).where(*_of(member))
            return session.scalar(count.where(Notification.read_at.is_(None))) or 0

    def latest(self, member: Member) -> Sequence[Notification]:
        with self._sessions() as session:
            newest = select(Notification).where(*_of(member)).order_by(Notification.id.desc())
            return session.scalars(newest.limit(PAGE)).all()

    def mark_read(self, member: Member) -> None:
        with self._sessions.begin() as session:
            unread = update(Notification).where(*_of(member), Notification.read_at.is_(None))
            session.execute(unread.values(read_at=now()))


def _of(member: Member) -> tuple[ColumnElement[bool], ...]:
    return (
        Notification.business_id == member.business_id,
        Notification.user_id == member.user_id,
    )
