"""<job-progress> in a real browser, on pages with a strict policy, in English and Arabic."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tabur import FunctionJob, JobHandle, Progress, State, Tabur
from tabur.model.records import ErrorInfo
from tests.web.browser import Show, bars, chromium, clean_page
from tests.web.support import Hand, memory

pytestmark = pytest.mark.browser

STATIC = files("tabur.web") / "static"
AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
PAUSES = """
  window.pauses = [];
  const next = setTimeout;
  window.setTimeout = (f, ms) => (pauses.push(ms / 1000), next(f, 0));
"""
RETRY_AFTER = """
  const get = Headers.prototype.get;
  Headers.prototype.get = function (name) {
    return name === "retry-after" ? window.after : get.call(this, name);
  };
"""
Import = FunctionJob[[int], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with clean_page(browser) as page:
        yield page


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Tabur]:
    app = memory(tmp_path)
    yield app
    app.close()


@pytest.fixture
def show(jobs: Tabur, page: Page) -> Iterator[Show]:
    with bars(jobs, page) as show:
        yield show


@pytest.fixture
def running(acme: Import, hand: Hand) -> JobHandle[None]:
    handle = acme.dispatch(1)
    hand.claim(handle)
    return handle


def test_it_is_at_most_4_kib_gzipped_and_depends_on_nothing() -> None:
    module = (STATIC / "job-progress.js").read_bytes()

    assert len(gzip.compress(module, 9)) <= 4096
    assert not re.search(rb"^\s*(import |export .* from )|import\(", module, re.MULTILINE)
    assert b".style" not in module
    assert b"innerHTML" not in module


def test_a_bar_follows_its_job_from_waiting_to_done(
    page: Page, show: Show, acme: Import, hand: Hand
) -> None:
    handle = acme.dispatch(1)
    show(handle)
    bar = page.get_by_role("progressbar", name="import of products.csv")
    line = page.locator(".job-progress-line")

    expect(line).to_have_text("Waiting to start")
    expect(bar).to_have_js_property("value", 0)
    page.evaluate(
        """() => {
          window.told = [];
          for (const name of ["update", "done", "failed", "cancelled"])
            document.addEventListener("job:" + name, (e) => told.push([name, e.detail.status]));
        }"""
    )
    hand.claim(handle)
    hand.progress(handle, 540, 1200, unit="products", message="Reading sheet 1")
    expect(line).to_have_text(re.compile(r"^Running · 45% · 540 of 1,200 products"))
    expect(page.locator(".job-progress-note")).to_have_text("Reading sheet 1")
    expect(bar).to_have_js_property("value", 0.45)
    expect(page.get_by_role("link")).to_be_hidden()

    hand.attach(handle, b"a,b", name="rejected.csv")
    hand.end(handle, progress=Progress(1200, 1200, "products", "Reading", 12))
    expect(line).to_have_text("Completed, 12 warnings · 1,200 of 1,200 products")
    expect(page.locator(".job-progress-note")).to_be_hidden()
    expect(bar).to_have_js_property("value", 1)
    expect(page.get_by_role("button")).to_have_count(0)
    link = page.get_by_role("link", name="Download the result import of products.csv")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "rejected.csv"
    assert page.evaluate("told") == [
        ["update", "processing"],
        ["update", "completed"],
        ["done", "completed"],
    ]


def test_without_a_total_it_counts_and_fills_nothing(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 540, unit="products")
    show(running)

    expect(page.locator(".job-progress-line")).to_have_text("Running · 540 products so far")
    expect(page.locator("progress:indeterminate")).to_be_visible()
    expect(page.get_by_role("progressbar")).not_to_have_attribute("value", re.compile(""))


def test_warnings_are_counted_as_each_language_does(
    page: Page, show: Show, acme: Import, hand: Hand
) -> None:
    counted = {
        1: ("Completed, 1 warning", "اكتمل التنفيذ، مع تحذير واحد"),
        2: ("Completed, 2 warnings", "اكتمل التنفيذ، مع تحذيرين"),
        3: ("Completed, 3 warnings", "اكتمل التنفيذ، مع 3 تحذيرات"),
        11: ("Completed, 11 warnings", "اكتمل التنفيذ، مع 11 تحذيرًا"),
        100: ("Completed, 100 warnings", "اكتمل التنفيذ، مع 100 تحذير"),
    }
    finished = [acme.dispatch(warnings) for warnings in counted]
    for handle, warnings in zip(finished, counted, strict=True):
        hand.claim(handle)
        hand.end(handle, progress=Progress(warnings=warnings))
    lines = page.locator(".job-progress-line")

    show(*finished)
    expect(lines).to_have_text([english for english, _ in counted.values()])
    show(*finished, lang="ar_IQ-u-nu-latn", label="استيراد products.csv")
    expect(lines).to_have_text([arabic for _, arabic in counted.values()])
    expect(page.locator("job-progress").first).to_have_js_property("dir", "rtl")


@pytest.mark.parametrize("lang", ["en", "ar"])
def test_axe_finds_nothing_in_any_state(
    page: Page, show: Show, acme: Import, hand: Hand, lang: str
) -> None:
    states = [acme.dispatch(n) for n in range(6)]
    for handle in states[:5]:
        hand.claim(handle)
    hand.progress(states[0], 540, 1200, unit="منتج" if lang == "ar" else "products")
    hand.progress(states[1], 540)
    hand.end(states[2], progress=Progress(1200, 1200, warnings=12))
    hand.end(states[3], State.FAILED, error=ErrorInfo("ValueError", "no"))
    hand.end(states[4], State.CANCELLED)
    label = "استيراد products.csv" if lang == "ar" else "import of products.csv"

    show(*states, "no-such-job", page_lang=lang, label=label)
    expect(page.locator("[data-state=warned]")).to_be_visible()
    expect(page.locator("[data-state=refused]")).to_be_visible()
    expect(page.locator("[data-state=failed]")).to_be_visible()
    if folder := os.environ.get("TABUR_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/job-progress-{lang}.png", full_page=True)

    assert _axe(page) == []
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= width <= 0


def test_right_to_left_fills_from_the_right_and_file_names_keep_their_order(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 540, 1200)
    show(running, page_lang="en", lang="ar", label="استيراد (products).csv")

    element = page.locator("job-progress")
    expect(element).to_have_css("direction", "rtl")
    expect(page.locator("bdi.job-progress-label")).to_have_text("استيراد (products).csv")
    expect(page.get_by_role("button", name="إلغاء استيراد (products).csv")).to_be_visible()
    button, whole = page.get_by_role("button").bounding_box(), element.bounding_box()
    assert button is not None
    assert whole is not None
    assert button["x"] + button["width"] > whole["x"] + whole["width"] - 20


def test_cancel_by_keyboard_keeps_the_focus_in_the_bar(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    show(running)
    cancel = page.get_by_role("button", name="Cancel import of products.csv", exact=True)
    expect(cancel).to_have_text("Cancel")
    page.keyboard.press("Tab")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.locator(".job-progress-line")).to_have_text("Stopping…")
    assert running.status().cancelling
    expect(cancel).to_be_hidden()
    expect(page.locator("job-progress")).to_be_focused()
    hand.end(running, State.CANCELLED)
    expect(page.locator(".job-progress-line")).to_have_text("Cancelled")


def test_a_failed_job_says_why_and_may_be_retried(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.end(running, State.FAILED, error=ErrorInfo("ValueError", "hunter2"))
    show(running)

    expect(page.locator(".job-progress-line")).to_have_text("Failed")
    expect(page.locator(".job-progress-note")).to_contain_text(running.id)
    expect(page.locator(".job-progress-live")).to_contain_text(running.id)
    page.get_by_role("button", name="Retry import of products.csv").click()

    expect(page.locator(".job-progress-line")).to_have_text("Waiting to start")
    assert running.status().state is State.PENDING


def test_a_reload_shows_where_it_is(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 300, 1200)
    show(running)
    expect(page.locator(".job-progress-line")).to_contain_text("25%")

    hand.progress(running, 600, 1200)
    page.reload()
    expect(page.locator(".job-progress-line")).to_contain_text("50%")
    hand.end(running, progress=Progress(1200, 1200))
    page.reload()
    expect(page.locator(".job-progress-line")).to_have_text("Completed · 1,200 of 1,200")


def test_it_announces_steps_and_not_every_change(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 1, 100)
    show(running)
    live = page.get_by_role("status")
    expect(live).to_have_text("import of products.csv, Running, 1%")
    page.evaluate(
        """() => {
          window.told = [];
          const live = document.querySelector("[role=status]");
          const note = () => told.push(live.textContent);
          new MutationObserver(note).observe(live, { childList: true, subtree: true });
        }"""
    )
    for done in (5, 12, 20, 27, 40, 60):
        hand.progress(running, done, 100)
        expect(page.locator(".job-progress-line")).to_contain_text(f"{done}%")
    hand.end(running, progress=Progress(100, 100))
    expect(live).to_have_text("import of products.csv, Completed, 100 of 100")

    assert page.evaluate("told") == [
        "import of products.csv, Running, 27%",
        "import of products.csv, Running, 60%",
        "import of products.csv, Completed, 100 of 100",
    ]


def test_with_events_it_listens_instead_of_asking(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    asked: list[str] = []
    address = f"/api/jobs/{running.id}"
    page.on("request", lambda r: asked.append(r.url) if address in r.url else None)
    show(running, events="")
    line = page.locator(".job-progress-line")
    expect(line).to_have_text("Running")
    for done in (10, 20, 30):
        hand.progress(running, done, 100)
        expect(line).to_contain_text(f"{done}%")
    hand.end(running, progress=Progress(100, 100))
    expect(line).to_have_text("Completed · 100 of 100")

    assert [("/events" in url) for url in asked] == [False, True, False]


def test_where_events_are_refused_it_polls(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    page.route("**/events*", lambda route: route.fulfill(status=503))
    show(running, events="")
    hand.progress(running, 10, 100)

    expect(page.locator(".job-progress-line")).to_contain_text("10%")
    expect(page.locator(".job-progress-note")).to_be_hidden()


def test_a_stream_that_ends_early_is_taken_up_again(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    streams: list[str] = []

    def first_only(route: Route) -> None:
        streams.append(route.request.url)
        if len(streams) > 1:
            route.continue_()
            return
        first = 'data: {"status": "processing", "progress": 7, "done": 7, "total": 100}\n\n'
        route.fulfill(content_type="text/event-stream", body=first)

    page.route("**/events*", first_only)
    show(running, events="")
    hand.progress(running, 10, 100)
    expect(page.locator(".job-progress-line")).to_contain_text("10%")
    hand.progress(running, 20, 100)
    expect(page.locator(".job-progress-line")).to_contain_text("20%")

    expect(page.locator(".job-progress-note")).to_be_hidden()
    assert len(streams) == 2


def test_a_lost_connection_is_said_softly_and_mended_by_itself(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 30, 100)
    show(running)
    line, note = page.locator(".job-progress-line"), page.locator(".job-progress-note")
    expect(line).to_contain_text("30%")

    page.route("**/api/jobs/**", lambda route: route.abort())
    expect(note).to_have_text("No connection. Trying again…")
    expect(line).to_contain_text("30%")
    page.unroute_all()
    hand.progress(running, 40, 100)
    expect(line).to_contain_text("40%")
    expect(note).to_be_hidden()


def test_a_job_that_may_not_be_seen_says_so_and_is_not_asked_for_again(
    page: Page, show: Show, jobs: Tabur, import_products: Import, hand: Hand
) -> None:
    foreign = import_products.options(tenant="other", user="1").dispatch(1)
    answers: list[int] = []
    address = f"/api/jobs/{foreign.id}"
    page.on("response", lambda r: answers.append(r.status) if address in r.url else None)
    show(foreign)

    expect(page.locator(".job-progress-note")).to_have_text(
        "There is no such job, or it is not yours."
    )
    expect(page.locator("progress")).to_be_hidden()
    expect(page.get_by_role("button")).to_have_count(0)
    page.wait_for_timeout(300)  # six seconds of the page's
    assert answers == [404]


def test_it_asks_less_often_while_nothing_changes(
    page: Page, show: Show, running: JobHandle[None]
) -> None:
    page.add_init_script(PAUSES)
    page.add_init_script(RETRY_AFTER)
    show(running)
    _wait(page, "pauses.length >= 9")

    asked = page.evaluate("pauses.slice(0, 9)")
    for pause, planned in zip(asked, [1, 1, 2, 3, 5, 8, 15, 15, 15], strict=True):
        assert planned * 0.85 <= pause <= planned * 1.15
    assert len({round(pause % 1, 4) for pause in asked}) > 5  # not all pages at the same moment

    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => true });")
    page.reload()
    _wait(page, "pauses.length >= 2")
    assert page.evaluate("pauses[0]") >= 3.4

    page.add_init_script("window.after = '70';")
    page.reload()
    _wait(page, "pauses.length >= 2")
    assert page.evaluate("pauses[0]") == 70


def test_the_page_may_set_the_interval(page: Page, show: Show, running: JobHandle[None]) -> None:
    page.add_init_script(PAUSES)
    show(running, interval="1")
    _wait(page, "pauses.length >= 6")

    assert set(page.evaluate("pauses")) == {1}


def test_what_jobs_and_pages_say_is_text_and_never_markup(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    evil = "<img src=x onerror=alert(1)>"
    hand.progress(running, 1, 2, unit=evil, message=evil)
    show(running, label=evil)

    expect(page.locator(".job-progress-note")).to_have_text(evil)
    expect(page.locator(".job-progress-line")).to_contain_text(evil)
    expect(page.locator(".job-progress-label")).to_have_text(evil)
    expect(page.locator("job-progress img")).to_have_count(0)


def test_another_language_by_attribute_and_by_script(
    page: Page, show: Show, running: JobHandle[None], hand: Hand
) -> None:
    hand.progress(running, 540, 1200)
    show(running, lang="sw", texts='{"processing": "Inaendelea", "cancel": "Ghairi"}')
    expect(page.locator(".job-progress-line")).to_contain_text("Inaendelea · 45%")
    expect(page.get_by_role("button")).to_have_text("Ghairi")

    show(running, lang="ckb")
    page.evaluate(
        """async () => {
          const { texts } = await import("/api/jobs/static/job-progress.js");
          texts.ckb = { processing: "بەردەوامە" };
        }"""
    )
    hand.progress(running, 600, 1200)
    expect(page.locator(".job-progress-line")).to_contain_text("بەردەوامە")
    expect(page.locator("job-progress")).to_have_js_property("dir", "rtl")


def test_the_language_may_change_while_it_runs(
    page: Page, show: Show, running: JobHandle[None]
) -> None:
    show(running)
    line = page.locator(".job-progress-line")
    expect(line).to_have_text("Running")

    page.evaluate("document.querySelector('job-progress').lang = 'ar'")
    expect(line).to_have_text("قيد التنفيذ")
    page.evaluate("document.querySelector('job-progress').lang = 'en'")
    expect(line).to_have_text("Running")
    expect(page.locator("job-progress")).to_have_js_property("dir", "ltr")


def test_another_src_shows_another_job_and_leaving_the_page_stops_asking(
    page: Page, show: Show, running: JobHandle[None], acme: Import
) -> None:
    other = acme.dispatch(2)
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    show(running)
    line = page.locator(".job-progress-line")
    expect(line).to_have_text("Running")
    page.evaluate(
        "src => document.querySelector('job-progress').setAttribute('src', src)",
        f"/api/jobs/{other.id}",
    )
    expect(line).to_have_text("Waiting to start")

    page.evaluate("document.querySelector('job-progress').remove()")
    page.wait_for_timeout(100)
    before = len(asked)
    page.wait_for_timeout(300)
    assert len(asked) == before


def test_reduced_motion_is_respected(page: Page, show: Show, running: JobHandle[None]) -> None:
    show(running)
    bar = page.locator("progress")
    expect(bar).to_have_css("animation-name", "job-progress-move")

    page.emulate_media(reduced_motion="reduce")
    expect(bar).to_have_css("animation-name", "none")


def _axe(page: Page) -> list[dict[str, Any]]:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate("axe.run().then((r) => r.violations)")
    return [{"id": each["id"], "where": [node["html"] for node in each["nodes"]]} for each in found]


def _wait(page: Page, expression: str) -> None:
    """As wait_for_function, which evaluates a string: the page's policy forbids that."""
    for _ in range(250):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never true: {expression}")
