"""Signing in, and who a session belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backoffice.modules.accounts.api import DemoAccount, Member
from backoffice.modules.accounts.models import Business, User

if TYPE_CHECKING:
    from argon2 import PasswordHasher


class Accounts:
    """Users and businesses."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def sign_in(self, email: str, password: str) -> Member | None:
        """The member, or None for a wrong e-mail or password: which of the two is not told."""
        from argon2.exceptions import Argon2Error, InvalidHashError

        with self._sessions() as session:
            user = session.scalar(select(User).where(User.email == email.strip().casefold()))
            try:
                # An unknown e-mail costs the same time as a wrong password.
                self._hasher.verify(user.password_hash if user else self._no_one, password[:1000])
            except (Argon2Error, InvalidHashError):
                return None
            return _member(session, user) if user else None

    def member(self, user_id: int) -> Member | None:
        """The member with that id; None once the user is gone."""
        with self._sessions() as session:
            user = session.get(User, user_id)
            return _member(session, user) if user else None

    def seed(self, accounts: Iterable[DemoAccount]) -> None:
        """Makes the accounts that are not there yet."""
        with self._sessions.begin() as session:
            for account in accounts:
                if session.scalar(select(User.id).where(User.email == account.email)):
                    continue
                business = session.scalar(select(Business).where(Business.slug == account.slug))
                if business is None:
                    business = Business(
                        slug=account.slug,
                        name=account.business,
                        name_ar=account.business_ar,
                        currency=account.currency,
                        timezone=account.timezone,
                    )
                    session.add(business)
                    session.flush()
                session.add(
                    User(
                        business_id=business.id,
                        email=account.email,
                        name=account.name,
                        password_hash=self._hasher.hash(account.password),
                    )
                )

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher

        return PasswordHasher()

    @cached_property
    def _no_one(self) -> str:
        return self._hasher.hash("nobody has this password")


def _member(session: Session, user: User) -> Member:
    business = session.get_one(Business, user.business_id)
    return Member(
        user_id=user.id,
        business_id=business.id,
        email=user.email,
        name=user.name,
        business_name=business.name,
        business_name_ar=business.name_ar,
        currency=business.currency,
        timezone=business.timezone,
    )
