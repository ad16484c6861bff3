"""A browser, and pages with bars on them under a strict policy."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from tabur import JobHandle, Tabur
from tabur.web import StreamLimits, status_app
from tests.web.support import served, who_asks

Show = Callable[..., None]
"""show(*handles, page_lang="en", **attributes): open a page with a bar for each job."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'"
)
FASTER = "const real = setTimeout; window.setTimeout = (f, ms, ...a) => real(f, ms / 20, ...a);"
QUIET = ("background-networking", "component-update", "sync", "gpu")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's chromium; skips the tests where there is none, and fails them where CI is set."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        reason = "chromium is missing (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", *(f"--disable-{each}" for each in QUIET)]
        )
        yield browser
        browser.close()


@contextmanager
def clean_page(browser: Browser) -> Iterator[Page]:
    """A page whose timers run 20 times as fast, and whose console stays clean."""
    page = browser.new_page()
    page.set_default_timeout(5_000)
    page.add_init_script(FASTER)
    complaints: list[str] = []
    page.on("console", lambda each: complaints.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.unroute_all(behavior="ignoreErrors")
    page.context.close()
    # A refusal is logged by the browser itself; all else is a fault, or the policy's veto.
    expected = re.compile(r"Failed to load resource|net::ERR_")
    assert [each for each in complaints if not expected.search(each)] == []


@contextmanager
def bars(jobs: Tabur, page: Page) -> Iterator[Show]:
    """The page's user is signed in as user 7 of acme."""
    written: dict[str, str] = {}

    def body(request: Request) -> HTMLResponse:
        return HTMLResponse(written["page"], headers={"Content-Security-Policy": POLICY})

    quick = StreamLimits(pause=0.1)
    mount = Mount("/api/jobs", status_app(jobs, owner=who_asks, streams=quick))
    with served(Starlette(routes=[Route("/page", body), mount])) as address:
        who = {"tenant": "acme", "user": "7"}
        page.context.add_cookies(
            [{"name": name, "value": value, "url": address} for name, value in who.items()]
        )

        def show(*handles: JobHandle[Any] | str, page_lang: str = "en", **attributes: str) -> None:
            attributes.setdefault("label", "import of products.csv")
            sources = [f"/api/jobs/{getattr(each, 'id', each)}" for each in handles]
            written["page"] = _page(page_lang, [{"src": src, **attributes} for src in sources])
            page.goto(f"{address}/page")

        yield show


def _page(lang: str, elements: list[dict[str, str]]) -> str:
    drawn = "".join(
        "<job-progress {}></job-progress>".format(
            " ".join(f'{name}="{escape(value)}"' for name, value in each.items())
        )
        for each in elements
    )
    return f"""<!doctype html>
<html lang="{lang}" dir="{"rtl" if lang == "ar" else "ltr"}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Imports</title>
<link rel="stylesheet" href="/api/jobs/static/job-progress.css">
<script type="module" src="/api/jobs/static/job-progress.js"></script>
</head>
<body><main><h1>{"الاستيراد" if lang == "ar" else "Imports"}</h1>{drawn}</main></body>
</html>"""
