"""The page behind the bell."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from backoffice.kernel.web import NotSignedIn, Pages, check_csrf
from backoffice.modules.accounts.api import Member, signed_in
from backoffice.modules.notifications.schemas import TEXTS
from backoffice.modules.notifications.service import Notifications


def make_router(notifications: Notifications, pages: Pages) -> APIRouter:
    router = APIRouter()

    @router.get("/notifications")
    def page(request: Request) -> Response:
        latest = notifications.latest(_member(request))
        return pages.render(request, "notifications.html", latest=latest, texts=TEXTS)

    @router.post("/notifications/read")
    def mark_read(
        request: Request, csrf: Annotated[str, Form(alias="csrf_token")] = ""
    ) -> Response:
        check_csrf(request, csrf)
        notifications.mark_read(_member(request))
        return RedirectResponse("/notifications", 303)

    return router


def _member(request: Request) -> Member:
    member = signed_in(request)
    if member is None:
        raise NotSignedIn
    return member
