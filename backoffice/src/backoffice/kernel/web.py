"""What every module's routes share: pages, who asks, and forms that other sites cannot send."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from backoffice.kernel.i18n import LANGUAGES, Language, choose, language

TEMPLATES = Path(__file__).parent.parent / "templates"
STATIC = Path(__file__).parent.parent / "static"
LANGUAGE_COOKIE = "language"

Context = Callable[[Request], dict[str, Any]]


class WrongForm(Exception):
    """The form lacks this session's token: it is old, or comes from another site."""


class NotSignedIn(Exception):
    """The page is for members; the visitor is sent to sign in."""


class NotThere(Exception):
    """No such thing, or it is another business's: which of the two is not told."""


class Pages:
    """Renders templates; `context` adds what every page shows of the one who is signed in."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._environments = {code: _environment(language(code)) for code in LANGUAGES}

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        bare: bool = False,
        **values: Any,
    ) -> HTMLResponse:
        """The page in the visitor's language; a `bare` one reads neither session nor database."""
        shown = request_language(request)
        html = (
            self._environments[shown.code]
            .get_template(template)
            .render(
                language=shown,
                languages=LANGUAGES,
                csrf_token="" if bare else csrf_token(request),
                here=_here(request),
                path=request.url.path,
                bare=bare,
                **({"member": None, "unread": 0} if bare else self._context(request)),
                **values,
            )
        )
        return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def request_language(request: Request) -> Language:
    asked = request.cookies.get(LANGUAGE_COOKIE)
    return language(choose(asked, request.headers.get("accept-language", "")))


def wants_json(request: Request) -> bool:
    """An API client asked; a browser always names text/html."""
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def csrf_token(request: Request) -> str:
    """This session's token, made when first asked for."""
    token: str = request.session.setdefault("csrf", secrets.token_urlsafe(24))
    return token


def check_csrf(request: Request, token: object) -> None:
    """Raises WrongForm unless `token`, or the X-CSRF-Token header, is this session's."""
    given = request.headers.get("x-csrf-token") or token
    known = request.session.get("csrf", "")
    if not isinstance(given, str) or not known:
        raise WrongForm
    if not hmac.compare_digest(given.encode(), known.encode()):
        raise WrongForm


def local_path(path: str | None) -> str:
    """`path` if it leads to a page of ours, else the first page: nobody is sent elsewhere."""
    plain = path or ""
    if plain.startswith("/") and not plain.startswith(("//", "/\\")) and plain.isprintable():
        return plain
    return "/"


def _here(request: Request) -> str:
    if request.method != "GET":
        return "/"
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _environment(shown: Language) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(  # type: ignore[attr-defined]  # the extension's
        shown.translations, newstyle=True
    )
    environment.filters["bdi"] = bdi
    environment.filters["number"] = lambda value: bdi(shown.number(value))
    environment.filters["money"] = lambda value, currency: bdi(shown.money(value, currency))
    environment.filters["moment"] = lambda value, zone: bdi(shown.moment(value, zone))
    return environment


def bdi(value: object) -> Markup:
    """Keeps codes, names and numbers in their own direction inside Arabic text."""
    return Markup("<bdi>{}</bdi>").format(value)
