"""The ASGI application: middleware, the modules' routes, the status of jobs, error pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles

from backoffice.http import errors
from backoffice.http.guards import BodyLimit, SecurityHeaders
from backoffice.kernel.i18n import language
from backoffice.kernel.settings import MIB
from backoffice.kernel.text import N_
from backoffice.kernel.web import STATIC, Pages
from backoffice.modules.accounts import routes as accounts
from backoffice.modules.accounts.api import signed_in
from backoffice.modules.notifications import routes as notifications
from backoffice.modules.products import routes as products
from backoffice.wiring import BackOffice
from tabur import JobStatus, Owner
from tabur.web import health_app, status_app

_TWO_WEEKS = 14 * 24 * 3600


def create_app(backoffice: BackOffice) -> FastAPI:
    """The application around `backoffice`."""
    settings = backoffice.settings

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        backoffice.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    def context(request: Request) -> dict[str, Any]:
        member = signed_in(request)
        unread = backoffice.notifications.unread(member) if member else 0
        return {"member": member, "unread": unread}

    pages = Pages(context)
    app.include_router(accounts.make_router(backoffice.accounts, pages, settings))
    app.include_router(products.make_router(backoffice.products, pages, settings))
    app.include_router(notifications.make_router(backoffice.notifications, pages))
    app.mount("/api/jobs", status_app(backoffice.jobs, owner=_owner, error_text=_error_text))
    app.mount("/health", health_app(backoffice.jobs))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    errors.install(app, pages)
    # The last one added is the outermost.
    app.add_middleware(accounts.LoadMember, accounts=backoffice.accounts)
    app.add_middleware(
        SessionMiddleware,
        secret_key=settings.secret,
        session_cookie="session",
        max_age=_TWO_WEEKS,
        same_site="lax",
        https_only=settings.secure_cookies,
    )
    # A form adds a little to the file it carries.
    app.add_middleware(BodyLimit, max_bytes=settings.max_upload_bytes + MIB)
    app.add_middleware(SecurityHeaders)
    return app


def _owner(request: Request) -> Owner | None:
    """Whose jobs may be read: the member's own."""
    member = signed_in(request)
    if member is None:
        return None
    return Owner(tenant=str(member.business_id), user=str(member.user_id))


def _error_text(status: JobStatus, lang: str) -> str:
    """What the bar says under a failed import; the page around it says why."""
    return language(lang).text(N_("It could not be finished."))
