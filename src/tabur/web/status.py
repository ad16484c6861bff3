"""The status app: what the owner of a job may read and ask for over HTTP."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Message, Receive, Scope, Send

from tabur.app import Tabur
from tabur.errors import JobNotFound, StoreError, UnknownJob
from tabur.jobs.handle import JobStatus
from tabur.model.ids import id_bytes, id_text
from tabur.model.records import Owner
from tabur.model.states import State
from tabur.web.answers import Refused, json_response, refusal, success
from tabur.web.events import EventStream, StreamLimits, Streams
from tabur.web.files import attachment_response, find_file, matches, static_response
from tabur.web.guard import forged
from tabur.web.representation import ErrorText, Representation, actions, represent, shown_state
from tabur.web.texts import language, text
from tabur.web.tokens import TokenAnswer, check_token

OwnerOf = Callable[[Request], Owner | Awaitable[Owner | None] | None]

_log = logging.getLogger("tabur.web")


def status_app(
    jobs: Tabur,
    *,
    owner: OwnerOf,
    error_text: ErrorText | None = None,
    streams: StreamLimits | None = None,
) -> StatusApp:
    """An ASGI app to be mounted: `app.mount("/api/jobs", status_app(jobs, owner=who_asks))`.

    `owner(request)` says who asks, as an `Owner` with the tenant and user that were in force at
    dispatch, or None for nobody; sync (run in a thread) or async. A job is shown only to exactly
    that owner or to the bearer of a `read_token`; everyone else is told 404, as for an id that
    does not exist. A job without tenant and user belongs to nobody and needs a token.
    `error_text(status, language)` may word the errors of failed jobs for users.
    """
    return StatusApp(jobs, owner=owner, error_text=error_text, streams=streams or StreamLimits())


class StatusApp:
    """See `status_app`. `GET /{id}`, `/{id}/events`, `/{id}/attachments/{n}`, `/static/{file}`;
    `POST /{id}/cancel`, `/{id}/retry`. Every error is JSON: {"success": false, "message": …}."""

    def __init__(
        self, jobs: Tabur, *, owner: OwnerOf, error_text: ErrorText | None, streams: StreamLimits
    ) -> None:
        self.jobs = jobs
        self._owner = owner
        self._error_text = error_text
        self._streams = Streams(streams)
        self._router = Router(
            [
                StatusRoute(self, "/static/{name}", self._static),
                StatusRoute(self, "/{id}", self._status),
                StatusRoute(self, "/{id}/events", self._events),
                StatusRoute(self, "/{id}/attachments/{n:int}", self._attachment),
                StatusRoute(self, "/{id}/cancel", self._cancel, methods=["POST"]),
                StatusRoute(self, "/{id}/retry", self._retry, methods=["POST"]),
            ],
            redirect_slashes=False,
        )

    @property
    def routes(self) -> list[BaseRoute]:
        """Seen by `accepted`, which looks for where this app is mounted."""
        return self._router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        # Our errors are JSON, whatever handlers the host has; without an "app" in the scope the
        # router would answer 404 and 405 as plain text.
        scope = {**scope}
        scope.pop("starlette.exception_handlers", None)
        scope.setdefault("app", self)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._router(scope, receive, watched)
        except Exception as error:
            if started:
                raise
            response = self._as_response(Request(scope), error)
            await response(scope, receive, send)

    # reading

    async def _static(self, request: Request) -> Response:
        response = static_response(request, request.path_params["name"])
        if response is None:
            raise Refused(404, "not_found")
        return response

    async def _status(self, request: Request) -> Response:
        status, owned = await self._readable(request)
        shown = self._represent(request, status)
        headers = {"ETag": f'"{shown.tag}"', "Cache-Control": "private, no-cache"}
        if not shown.finished:
            headers["Retry-After"] = "1"
        if owned:
            headers["Tabur-Actions"] = actions(status, may_retry=self._may_retry(status))
        if matches(request.headers.get("if-none-match"), shown.tag):
            return Response(status_code=304, headers=headers)
        return json_response(shown.body, headers=headers)

    async def _events(self, request: Request) -> Response:
        status, _ = await self._readable(request)
        first = self._represent(request, status)
        seen = request.headers.get("last-event-id")
        if first.finished and seen == first.tag:
            return Response(status_code=204)  # tells EventSource not to come back

        async def look() -> Representation | None:
            now = await run_in_threadpool(self._find, status.id)
            return None if now is None else self._represent(request, now)

        return EventStream(
            first,
            look,
            streams=self._streams,
            seen=seen,
            full=self._as_response(request, Refused(503, "too_many_streams", retry_after=5)),
        )

    async def _attachment(self, request: Request) -> Response:
        status, _ = await self._readable(request)
        for attachment in status.attachments:
            if attachment.n == request.path_params["n"]:
                root = self.jobs.attachment_path("")
                path = await run_in_threadpool(find_file, root, attachment)
                if path is not None:
                    return attachment_response(path, attachment)
                _log.warning("attachment %d of job %s is not on the disk", attachment.n, status.id)
        raise Refused(404, "not_found")

    # asking

    async def _cancel(self, request: Request) -> Response:
        status = await self._changeable(request)
        if not await run_in_threadpool(self.jobs.handle(status.id).cancel):
            raise Refused(409, "finished")
        return await self._asked(
            request, status, lambda now: "cancelling" if now.cancelling else "cancelled"
        )

    async def _retry(self, request: Request) -> Response:
        status = await self._changeable(request)
        if not self._may_retry(status):
            raise Refused(403, "retry_forbidden")
        if status.state is not State.FAILED:
            raise Refused(409, "not_failed")
        if not await run_in_threadpool(self.jobs.handle(status.id).retry):
            raise Refused(409, "not_failed")
        return await self._asked(request, status, lambda _: "retried")

    async def _asked(
        self, request: Request, before: JobStatus, sentence: Callable[[JobStatus], str]
    ) -> Response:
        now = await run_in_threadpool(self._find, before.id) or before
        return success(
            text(sentence(now), _lang(request, now)),
            {
                "job_id": now.id,
                "status": shown_state(now),
                "cancelling": now.cancelling,
                "check_url": f"{_base(request)}/{now.id}",
            },
        )

    # who may

    async def _readable(self, request: Request) -> tuple[JobStatus, bool]:
        """The job, and whether the one who asks owns it (else holds a token). Raises Refused."""
        job_id = _job_id(request)
        token = request.query_params.get("token")
        answer = TokenAnswer.INVALID if token is None else check_token(self.jobs, job_id, token)
        asker = None if answer is TokenAnswer.VALID else await self._asker(request)
        status = await run_in_threadpool(self._find, job_id)
        if status is not None and answer is TokenAnswer.VALID:
            return status, False
        if status is not None and asker is not None and asker == _owner(status):
            return status, True
        await run_in_threadpool(self._ask_the_rest, status)
        # To say so tells nothing new to one who held the token while it was good.
        expired = status is not None and answer is TokenAnswer.EXPIRED
        raise Refused(403, "link_expired") if expired else Refused(404, "not_found")

    async def _changeable(self, request: Request) -> JobStatus:
        """The job, for its owner only: a token lets its bearer read."""
        if forged(request):
            raise Refused(403, "cross_site")
        job_id = _job_id(request)
        asker = await self._asker(request)
        status = await run_in_threadpool(self._find, job_id)
        if status is None or asker is None or asker != _owner(status):
            await run_in_threadpool(self._ask_the_rest, status)
            raise Refused(404, "not_found")
        return status

    async def _asker(self, request: Request) -> Owner | None:
        if inspect.iscoroutinefunction(self._owner):
            answer: Any = self._owner(request)
        else:
            answer = await run_in_threadpool(self._owner, request)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is None or (answer.tenant is None and answer.user is None):
            return None  # nobody owns nothing: an empty session must not open ownerless jobs
        return Owner(_name(answer.tenant), _name(answer.user))

    def _find(self, job_id: str) -> JobStatus | None:
        try:
            return self.jobs.handle(job_id).status()
        except JobNotFound:
            # Ask as much as for a job that exists: how long the answer takes is to tell nothing.
            self.jobs.driver.inspection.attachments(id_bytes(job_id))
            return None

    def _ask_the_rest(self, refused: JobStatus | None) -> None:
        """Look for a stranger's job on the connections that were not asked for it, as for one that
        nobody knows."""
        if refused is not None:
            drivers = self.jobs.drivers
            asked = [driver.name for driver in drivers].index(refused.connection) + 1
            for driver in drivers[asked:]:
                driver.inspection.find(id_bytes(refused.id))

    def _may_retry(self, status: JobStatus) -> bool:
        try:
            return self.jobs.registry.get(status.name).options.owner_may_retry
        except UnknownJob:
            return False

    # answers

    def _represent(self, request: Request, status: JobStatus) -> Representation:
        token = request.query_params.get("token")
        return represent(
            status,
            base=_base(request),
            query=f"?token={quote(token)}" if token else "",
            lang=_lang(request, status),
            now=datetime.now(UTC),
            error_text=self._error_text,
        )

    def _as_response(self, request: Request, error: Exception) -> Response:
        lang = _lang(request)
        if isinstance(error, Refused):
            after = error.retry_after
            headers = {} if after is None else {"Retry-After": str(after)}
            return refusal(error.status, text(error.key, lang), headers)
        if isinstance(error, HTTPException):
            key = {404: "not_found", 405: "method"}.get(error.status_code)
            message = text(key, lang) if key else str(error.detail)
            return refusal(error.status_code, message, error.headers)
        if isinstance(error, JobNotFound):  # removed by retention since we looked
            return refusal(404, text("not_found", lang))
        if isinstance(error, StoreError):
            _log.error("the store did not answer: %s", error)
            return refusal(503, text("unavailable", lang), {"Retry-After": "5"})
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return refusal(500, text("broken", lang))


class StatusRoute(Route):
    """A route that knows its status app, by which `accepted` recognises it."""

    def __init__(self, app: StatusApp, path: str, endpoint: Any, **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.status_app = app


def _job_id(request: Request) -> str:
    try:
        return id_text(id_bytes(request.path_params["id"]))
    except JobNotFound:
        raise Refused(404, "not_found") from None


def _owner(status: JobStatus) -> Owner:
    return Owner(status.tenant, status.user)


def _name(value: object) -> str | None:
    return None if value is None else str(value)  # 7 from a database is the "7" of the dispatch


def _base(request: Request) -> str:
    """The path under which the browser reaches this app."""
    return quote(request.scope.get("root_path", "").rstrip("/"), safe="/-._~!$&'()*+,;=:@")


def _lang(request: Request, status: JobStatus | None = None) -> str:
    """The page's language (`?lang=`), else the job's, else what the browser prefers: its setting
    is the machine's more often than the person's."""
    asked = request.query_params.get("lang") or (status.locale if status else None)
    return language(asked, None) if asked else language(request.headers.get("accept-language"))
