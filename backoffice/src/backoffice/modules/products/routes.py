"""Pages of products and imports, and the upload that starts one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from backoffice.integrations.tables import write_row
from backoffice.kernel.i18n import Language
from backoffice.kernel.settings import MIB, Settings
from backoffice.kernel.text import N_
from backoffice.kernel.web import (
    NotSignedIn,
    NotThere,
    Pages,
    bdi,
    check_csrf,
    request_language,
    wants_json,
)
from backoffice.modules.accounts.api import Member, signed_in
from backoffice.modules.products import errors
from backoffice.modules.products.errors import ImportRefused
from backoffice.modules.products.models import ImportRejection
from backoffice.modules.products.rules import ImportState
from backoffice.modules.products.service import ImportView, Products
from tabur.web import accepted, idempotency_key

_SHOWN_REJECTIONS = 20


def make_router(products: Products, pages: Pages, settings: Settings) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    def first_page() -> Response:
        return RedirectResponse("/products", 303)

    @router.get("/products")
    def product_list(
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str | None, Query(max_length=64)] = None,
        before: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        page = products.page(_member(request), query=q, after=after, before=before)
        return pages.render(
            request, "products.html", page=page, q=q, units=errors.UNITS, paged=after or before
        )

    @router.get("/imports")
    def import_list(request: Request) -> Response:
        return _imports_page(request)

    @router.post("/imports")
    async def start_import(request: Request) -> Response:
        member = _member(request)
        key = idempotency_key(request)
        async with request.form(max_files=1, max_fields=10) as form:
            check_csrf(request, form.get("csrf_token"))
            file, field_key = form.get("file"), form.get("idempotency_key")
            if key is None and isinstance(field_key, str):
                key = field_key[:64] or None
            try:
                if not isinstance(file, UploadFile) or not file.filename:
                    raise ImportRefused("no_file")
                view = await run_in_threadpool(
                    products.start_import,
                    member,
                    file.file,
                    file_name=file.filename,
                    key=key,
                    locale=request_language(request).code,
                )
            except ImportRefused as refusal:
                return await run_in_threadpool(_refused, request, refusal)
        return _started(request, view)

    @router.get("/imports/{import_id}")
    def import_page(request: Request, import_id: int) -> Response:
        view = products.find_import(_member(request), import_id, rejections=_SHOWN_REJECTIONS)
        if view is None:
            raise NotThere
        if wants_json(request):
            return JSONResponse(_as_json(view), headers={"Cache-Control": "no-store"})
        language = request_language(request)
        failure = view.work.failure
        return pages.render(
            request,
            "import.html",
            view=view,
            work=view.work,
            states=ImportState,
            fields=errors.FIELDS,
            reasons=lambda row: [
                (reason[0], _marked(language, errors.REASONS[reason[1]], reason[2]))
                for reason in row.reasons
            ],
            failure=_failure_text(language, failure["code"], failure["params"])
            if failure
            else None,
        )

    @router.post("/imports/{import_id}/cancel")
    def cancel_import(
        request: Request,
        import_id: int,
        csrf: Annotated[str, Form(alias="csrf_token")] = "",
    ) -> Response:
        check_csrf(request, csrf)
        if products.cancel_import(_member(request), import_id) is None:
            raise NotThere
        return RedirectResponse(f"/imports/{import_id}", 303)

    @router.get("/imports/{import_id}/rejected.csv")
    def rejected_rows(request: Request, import_id: int) -> Response:
        view = products.find_import(_member(request), import_id, rejections=0)
        if view is None:
            raise NotThere
        return StreamingResponse(
            _rejected_csv(view, products.rejected_rows(view), request_language(request)),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="rejected-{import_id}.csv"',
                "Cache-Control": "no-store",
            },
        )

    def _imports_page(request: Request, *, error: str | None = None, status: int = 200) -> Response:
        return pages.render(
            request,
            "imports.html",
            status=status,
            imports=products.imports(_member(request)),
            key=secrets.token_urlsafe(16),
            error=error,
            states=ImportState,
            limit=settings.max_upload_bytes // MIB or 1,
        )

    def _refused(request: Request, refusal: ImportRefused) -> Response:
        language = request_language(request)
        text = _failure_text(language, refusal.code, refusal.params)
        if wants_json(request):
            return JSONResponse(
                {"success": False, "message": str(text.striptags()), "error": refusal.code},
                refusal.status,
            )
        return _imports_page(request, error=text, status=refusal.status)

    def _started(request: Request, view: ImportView) -> Response:
        page = f"/imports/{view.work.id}"
        if not wants_json(request):
            return RedirectResponse(page, 303)
        language = request_language(request)
        if view.handle is not None:
            message = language.text(N_("The list is being imported."))
            response = accepted(view.handle, request, message=message)
            response.headers["Link"] = f'<{page}>; rel="related"'
            return response
        message = language.text(N_("The list was imported."))
        return JSONResponse(
            {"success": True, "message": message, "data": _as_json(view)},
            201,
            headers={"Location": page},
        )

    return router


def _member(request: Request) -> Member:
    member = signed_in(request)
    if member is None:
        raise NotSignedIn
    return member


def _as_json(view: ImportView) -> dict[str, Any]:
    work = view.work
    return {
        "import_id": work.id,
        "state": view.state,
        "file_name": work.file_name,
        "rows": work.done,
        "total": work.total,
        "imported": work.imported,
        "updated": work.updated,
        "rejected": work.rejected,
        "rejected_url": f"/imports/{work.id}/rejected.csv" if work.rejected else None,
    }


def _marked(language: Language, message: str, params: Mapping[str, str]) -> Any:
    """A text with what fills it kept in its own direction."""
    from markupsafe import escape

    text = escape(language.translations.gettext(message))
    return text % {name: bdi(value) for name, value in params.items()}


def _failure_text(language: Language, code: str, params: Mapping[str, str]) -> Any:
    shown = dict(params)
    if "columns" in shown:
        names = (language.text(errors.FIELDS[field]) for field in shown["columns"].split(","))
        shown["columns"] = language.text(N_(", ")).join(names)
    return _marked(language, errors.FAILURES[code], shown)


def _rejected_csv(
    view: ImportView, rows: Iterator[ImportRejection], language: Language
) -> Iterator[str]:
    """The rejected rows as a file to correct and upload again: its own columns, and why."""
    table = view.work.table
    delimiter = table["delimiter"] or ","
    titles = [language.text(N_("Row in the file")), language.text(N_("Reason"))]
    # Spreadsheets take a text for UTF-8 only by this mark; without it Arabic is unreadable.
    yield "\ufeff" + write_row([*titles, *table["header"]], delimiter)
    for row in rows:
        yield write_row([row.row, _reasons_text(row, language), *row.cells], delimiter)


def _reasons_text(row: ImportRejection, language: Language) -> str:
    texts = []
    for field, code, params in row.reasons:
        text = language.text(errors.REASONS[code], **params)
        name = errors.FIELDS.get(field)
        texts.append(f"{language.text(name)}: {text}" if name else text)
    return " ".join(texts)
