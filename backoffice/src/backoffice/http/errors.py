"""Pages for what went wrong, in the visitor's language, with what to do next."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from backoffice.http.guards import BodyTooLarge
from backoffice.kernel.settings import MIB
from backoffice.kernel.text import N_
from backoffice.kernel.web import (
    NotSignedIn,
    NotThere,
    Pages,
    WrongForm,
    request_language,
    wants_json,
)

_TITLES = {
    400: N_("That did not work"),
    403: N_("Please send the form again"),
    404: N_("This page is not there"),
    413: N_("The file is too large"),
    500: N_("Something went wrong on our side"),
}
_TEXTS = {
    400: N_("The request could not be understood. Go back and try again."),
    403: N_("The form was too old or came from another site. Go back, reload the page, try again."),
    404: N_("It was removed, or it never was, or it belongs to somebody else."),
    413: N_("Files may have up to %(limit)s MB. Split the list or save it as CSV."),
    500: N_("We have been told. Try again in a few minutes; nothing you saved is lost."),
}


def install(app: FastAPI, pages: Pages) -> None:
    """Makes every error a page, or JSON for who asks for it."""

    def answer(request: Request, status: int, **params: object) -> Response:
        known = status if status in _TITLES else 400 if status < 500 else 500
        language = request_language(request)
        text = language.text(_TEXTS[known], **params)
        if wants_json(request):
            return JSONResponse({"success": False, "message": text}, status)
        title = language.text(_TITLES[known])
        bare = status >= 500
        return pages.render(request, "error.html", status=status, bare=bare, title=title, text=text)

    def http_error(request: Request, error: Exception) -> Response:
        if isinstance(error.__cause__, BodyTooLarge):  # FastAPI wraps what a form's reader raises
            return too_large(request, error.__cause__)
        return answer(request, error.status_code if isinstance(error, HTTPException) else 500)

    def too_large(request: Request, error: Exception) -> Response:
        limit = error.limit if isinstance(error, BodyTooLarge) else 0
        return answer(request, 413, limit=max(1, limit // MIB - 1))

    def not_signed_in(request: Request, error: Exception) -> Response:
        if wants_json(request):
            message = request_language(request).text(N_("Please sign in."))
            return JSONResponse({"success": False, "message": message}, 401)
        goal = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={quote(goal)}", 303)

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(BodyTooLarge, too_large)
    app.add_exception_handler(NotSignedIn, not_signed_in)
    app.add_exception_handler(NotThere, lambda request, error: answer(request, 404))
    app.add_exception_handler(WrongForm, lambda request, error: answer(request, 403))
    app.add_exception_handler(RequestValidationError, lambda request, error: answer(request, 404))
    app.add_exception_handler(Exception, lambda request, error: answer(request, 500))
