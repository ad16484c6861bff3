"""What other modules may know of accounts: the member who is signed in, and demo accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.requests import Request


@dataclass(frozen=True, kw_only=True)
class Member:
    """A signed-in user and the business whose data may be seen; goes with every request."""

    user_id: int
    business_id: int
    email: str
    name: str
    business_name: str
    business_name_ar: str
    currency: str
    timezone: str


@dataclass(frozen=True, kw_only=True)
class DemoAccount:
    """A business and its owner as `make demo` sets them up; the passwords are printed."""

    slug: str
    business: str
    business_ar: str
    currency: str
    timezone: str
    email: str
    name: str
    password: str


DEMO_ACCOUNTS = (
    DemoAccount(
        slug="alnoor",
        business="Al Noor Market",
        business_ar="أسواق النور",
        currency="IQD",
        timezone="Asia/Baghdad",
        email="owner@alnoor.example",
        name="Zainab Kareem",
        password="noor-demo-2026",  # noqa: S106 - printed by the demo
    ),
    DemoAccount(
        slug="kilimani",
        business="Kilimani Hardware",
        business_ar="كليماني للعدد والأدوات",
        currency="KES",
        timezone="Africa/Nairobi",
        email="owner@kilimani.example",
        name="Wanjiru Otieno",
        password="kilimani-demo-2026",  # noqa: S106 - printed by the demo
    ),
)


def signed_in(request: Request) -> Member | None:
    """Who asks."""
    member = request.scope.get("state", {}).get("member")
    return member if isinstance(member, Member) else None
