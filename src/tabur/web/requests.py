"""The request that starts a job: the 202 that answers it, and its Idempotency-Key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Host, Mount

from tabur.errors import ConfigError
from tabur.jobs.handle import JobHandle
from tabur.web.answers import json_response, refusal
from tabur.web.status import StatusApp, StatusRoute
from tabur.web.texts import language, text


def accepted(
    handle: JobHandle[Any], where: HTTPConnection | str, *, message: str | None = None
) -> Response:
    """202 Accepted for a job that was dispatched (RFC 9110 §15.3.3).

    `where` is the request that is being answered, by which the mounted status app is found, or
    the path or URL at which it is mounted ("/api/jobs"). Location and `check_url` lead to the
    job's status. Raises ConfigError where no status app is mounted.
    """
    base = where.rstrip("/") if isinstance(where, str) else _mounted_at(where)
    asked = None if isinstance(where, str) else where.headers.get("accept-language")
    check_url = f"{base}/{handle.id}"
    return json_response(
        {
            "success": True,
            "message": text("accepted", language(asked)) if message is None else message,
            "data": {"job_id": handle.id, "status": "pending", "check_url": check_url},
        },
        202,
        {"Location": check_url, "Retry-After": "1"},
    )


def idempotency_key(request: HTTPConnection) -> str | None:
    """The request's Idempotency-Key for `options(idempotency_key=…)`, None where it has none.

    Up to 255 printable ASCII characters, bare or in the quotes of the IETF draft. Raises
    HTTPException 400 for anything else.
    """
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    key = given[0].strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if len(given) > 1 or not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise HTTPException(
            400, "Idempotency-Key must be one value of 1 to 255 printable ASCII characters."
        )
    return key


def idempotency_conflict(request: Request, error: Exception) -> Response:
    """422 for a key that came back with another body; an exception handler:
    `app.add_exception_handler(IdempotencyConflict, idempotency_conflict)`."""
    return refusal(422, str(error))


def _mounted_at(request: HTTPConnection) -> str:
    scope = request.scope
    outermost = scope.get("router") or scope.get("app")
    found = list(_status_apps(getattr(outermost, "routes", []), ""))
    if not found:
        raise ConfigError(
            "accepted() finds no status app in this application. Mount it: app.mount("
            '"/api/jobs", status_app(jobs, owner=…)), or say where it is: accepted(handle, '
            '"/api/jobs").'
        )
    path, app = found[0]
    if any(other.jobs is not app.jobs for _, other in found) or "{" in path:
        paths = ", ".join(each for each, _ in found)
        raise ConfigError(
            f"accepted() cannot tell which address leads to the job: {paths}. Say it: "
            'accepted(handle, "/api/jobs").'
        )
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root.rstrip("/") + path


def _status_apps(routes: Iterable[BaseRoute], prefix: str) -> Iterator[tuple[str, StatusApp]]:
    for route in routes:
        if isinstance(route, StatusRoute):
            yield prefix, route.status_app
            return
        if isinstance(route, Mount):
            yield from _status_apps(route.routes or (), prefix + route.path)
        elif isinstance(route, Host):
            yield from _status_apps(route.routes or (), prefix)
