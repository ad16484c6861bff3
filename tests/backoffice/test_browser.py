"""The pages in a real browser: the bar, both languages, both directions, 360 pixels, axe."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from backoffice.http.app import create_app
from backoffice.modules.accounts.api import DEMO_ACCOUNTS
from backoffice.wiring import BackOffice
from tests.backoffice.conftest import SAMPLES
from tests.backoffice.helpers import csv_file, many
from tests.backoffice.test_resume import working

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
QUIET = ("gpu", "background-networking", "component-update", "sync")
WORDS = {
    "en": {
        "sign_in": "Sign in",
        "import": "Import",
        "done": "19 rows were not imported. Correct them and upload them again.",
        "download": "Download to correct (CSV)",
        "cancelled": "The import was cancelled. What was imported until then stays.",
        "wrong": "E-mail or password is not right.",
    },
    "ar": {
        "sign_in": "تسجيل الدخول",
        "import": "استيراد",
        "done": "لم يُستورد 19 صفًا. صحّحها ثم أعد رفعها.",
        "download": "تنزيل للتصحيح (CSV)",
        "cancelled": "أُلغي الاستيراد. ما استُورد قبل ذلك باقٍ.",
        "wrong": "البريد الإلكتروني أو كلمة المرور غير صحيحة.",
    },
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
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


@pytest.fixture
def address(backoffice: BackOffice) -> Iterator[str]:
    """The application behind a real server."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    config = uvicorn.Config(create_app(backoffice), port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(params=["en", "ar"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Open = Callable[..., Page]


@pytest.fixture
def visit(chromium: Browser, address: str, language: str) -> Iterator[Open]:
    """Opens a page of the back office in `language`; its console must stay clean."""
    complaints: list[str] = []
    pages: list[Page] = []

    def opened(*, width: int = 1200, scheme: str = "light", scripts: bool = True) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 800},
            base_url=address,
            java_script_enabled=scripts,
            color_scheme="dark" if scheme == "dark" else "light",
        )
        context.set_default_timeout(15_000)
        context.add_cookies([{"name": "language", "value": language, "url": address}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type == "error" and "Failed to load resource" not in said.text
                else None
            ),
        )
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.context.close()
    assert complaints == []


def _sign_in(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("#email", DEMO_ACCOUNTS[0].email)
    page.fill("#password", DEMO_ACCOUNTS[0].password)
    page.press("#password", "Enter")
    page.wait_for_url("**/products")


def _upload(page: Page, path: Path) -> None:
    page.goto("/imports")
    page.set_input_files("#file", path)
    page.click("form.upload button.primary")
    page.wait_for_url("**/imports/*")


def _check(page: Page) -> None:
    """No finding of axe, nothing that sticks out sideways."""
    # Not by a script element: the page's own policy would refuse it.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    result = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', "
        "'best-practice']}).then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
    )
    assert result == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_an_owner_imports_a_list_and_watches_it(
    visit: Open, backoffice: BackOffice, language: str, tmp_path: Path
) -> None:
    page, words = visit(), WORDS[language]
    _sign_in(page)
    _upload(page, SAMPLES / "products-2000.csv")
    bar = page.locator("job-progress")
    expect(bar).to_have_attribute("data-state", "pending")
    _check(page)

    with working(backoffice.settings, tmp_path / "worker.log"):
        expect(page.locator(".notice")).to_have_text(words["done"], timeout=30_000)

    expect(bar).to_have_count(0)
    expect(page.locator("[data-count=imported]")).to_have_text("1,981")
    _check(page)
    with page.expect_download() as download:
        page.get_by_role("link", name=words["download"]).click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert len(text.splitlines()) == 20
    expect(page.locator(".badge")).to_have_text("1")


@pytest.mark.parametrize("language", ["ar"], indirect=True)
def test_an_import_is_called_back_from_its_bar(visit: Open, language: str, tmp_path: Path) -> None:
    page = visit()
    _sign_in(page)
    path = tmp_path / "list.csv"
    path.write_bytes(csv_file(many(60)))
    _upload(page, path)

    page.locator(".job-progress-cancel").click()

    expect(page.locator(".notice")).to_have_text(WORDS[language]["cancelled"])


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_every_page_is_accessible_and_fits(
    visit: Open, backoffice: BackOffice, language: str, width: int, scheme: str
) -> None:
    page = visit(width=width, scheme=scheme)
    page.goto("/sign-in")
    _check(page)
    page.fill("#email", "nobody@alnoor.example")
    page.fill("#password", "wrong")
    page.press("#password", "Enter")
    expect(page.get_by_role("alert")).to_have_text(WORDS[language]["wrong"])
    _check(page)
    _sign_in(page)
    for empty in ("/products", "/imports", "/notifications", "/nowhere"):
        page.goto(empty)
        _check(page)
    _upload(page, SAMPLES / "products-20.csv")
    _check(page)
    _upload(page, SAMPLES / "products-2000.csv")
    backoffice.import_job(2).run()
    for full in ("/imports/2", "/products", "/products?q=zzz", "/imports", "/notifications"):
        page.goto(full)
        _check(page)


@pytest.mark.parametrize("language", ["en"], indirect=True)
def test_without_scripts_everything_works_but_the_moving_bar(
    visit: Open, backoffice: BackOffice, language: str
) -> None:
    page = visit(scripts=False)
    _sign_in(page)
    _upload(page, SAMPLES / "products-2000.csv")
    assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
    backoffice.import_job(1).run()

    page.reload()

    expect(page.locator(".notice")).to_have_text(WORDS[language]["done"])


@pytest.mark.parametrize("language", ["ar"], indirect=True)
def test_the_keyboard_suffices(visit: Open, language: str) -> None:
    page = visit()
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#email")).to_be_focused()
    page.keyboard.type(DEMO_ACCOUNTS[0].email)
    page.keyboard.press("Tab")
    page.keyboard.type(DEMO_ACCOUNTS[0].password)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=WORDS[language]["sign_in"])).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/products")


@pytest.mark.parametrize("language", ["ar"], indirect=True)
def test_a_file_that_is_too_large_is_told_before_it_travels(
    visit: Open, language: str, tmp_path: Path
) -> None:
    page = visit()
    _sign_in(page)
    page.goto("/imports")
    path = tmp_path / "large.csv"
    path.write_bytes(b"x" * (33 * 1024 * 1024))
    page.set_input_files("#file", path)

    expect(page.locator("[data-too-large]")).to_be_visible()
    page.click("form.upload button.primary")
    assert page.url.endswith("/imports")


def test_codes_stay_left_to_right_inside_arabic(
    visit: Open, backoffice: BackOffice, language: str
) -> None:
    page = visit()
    _sign_in(page)
    _upload(page, SAMPLES / "products-20.csv")

    title = page.locator("h1 bdi")
    expect(title).to_have_text("products-20.csv")
    direction = page.evaluate("document.documentElement.dir")
    assert direction == ("rtl" if language == "ar" else "ltr")
    assert title.evaluate("node => getComputedStyle(node).unicodeBidi") == "isolate"
    # The page's start is where its language begins to read.
    start = page.locator("h1").bounding_box()
    assert start is not None
    assert (start["x"] > 600) == (language == "ar")
