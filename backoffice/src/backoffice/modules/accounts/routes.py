"""Signing in and out, and the language of the pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from backoffice.kernel.i18n import LANGUAGES
from backoffice.kernel.settings import Settings
from backoffice.kernel.text import N_
from backoffice.kernel.web import (
    LANGUAGE_COOKIE,
    Pages,
    check_csrf,
    csrf_token,
    local_path,
    request_language,
)
from backoffice.modules.accounts.api import signed_in
from backoffice.modules.accounts.service import Accounts

_A_YEAR = 365 * 24 * 3600


class LoadMember:
    """Puts the signed-in member beside the request; a user who is gone is signed out."""

    def __init__(self, app: ASGIApp, *, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            user_id = scope["session"].get("user_id")
            member = user_id and await run_in_threadpool(self._accounts.member, user_id)
            scope.setdefault("state", {})["member"] = member or None
        await self._app(scope, receive, send)


def make_router(accounts: Accounts, pages: Pages, settings: Settings) -> APIRouter:
    router = APIRouter()

    @router.get("/sign-in")
    def sign_in_page(request: Request, next: str = "/") -> Response:
        if signed_in(request):
            return RedirectResponse("/", 303)
        return pages.render(request, "sign-in.html", next=local_path(next), email="", error=None)

    @router.post("/sign-in")
    def sign_in(
        request: Request,
        email: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",
        csrf: Annotated[str, Form(alias="csrf_token")] = "",
    ) -> Response:
        check_csrf(request, csrf)
        member = accounts.sign_in(email, password)
        if member is None:
            error = request_language(request).text(N_("E-mail or password is not right."))
            return pages.render(
                request,
                "sign-in.html",
                status=401,
                next=local_path(next),
                email=email[:254],
                error=error,
            )
        # A new session: what was known before the sign-in is worth nothing after it.
        request.session.clear()
        request.session["user_id"] = member.user_id
        csrf_token(request)
        return RedirectResponse(local_path(next), 303)

    @router.post("/sign-out")
    def sign_out(request: Request, csrf: Annotated[str, Form(alias="csrf_token")] = "") -> Response:
        check_csrf(request, csrf)
        request.session.clear()
        return RedirectResponse("/sign-in", 303)

    @router.post("/language")
    def choose_language(
        request: Request,
        language: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "/",
        csrf: Annotated[str, Form(alias="csrf_token")] = "",
    ) -> Response:
        check_csrf(request, csrf)
        response = RedirectResponse(local_path(next), 303)
        if language in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=_A_YEAR,
                samesite="lax",
                httponly=True,
                secure=settings.secure_cookies,
            )
        return response

    return router
