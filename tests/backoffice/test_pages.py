"""Signing in, pages and their errors, languages, and what keeps strangers out."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from backoffice.http.app import create_app
from backoffice.modules.accounts.models import User
from backoffice.wiring import BackOffice
from tests.backoffice.helpers import JSON, Shop, csv_file, many

PAGES = ("/products", "/imports", "/notifications")


@pytest.fixture
def visitor(backoffice: BackOffice) -> Shop:
    return Shop(TestClient(create_app(backoffice), follow_redirects=False), backoffice)


@pytest.mark.parametrize("page", [*PAGES, "/imports/1", "/imports/1/rejected.csv"])
def test_pages_are_for_members_only(visitor: Shop, page: str) -> None:
    answer = visitor.client.get(page)

    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")
    assert visitor.client.get(page, headers=JSON).status_code == 401


def test_probes_need_no_account(visitor: Shop) -> None:
    assert visitor.client.get("/health/live").status_code == 200
    ready = visitor.client.get("/health/ready")
    assert ready.json() == {"status": "ready", "workers": 0}
    assert "set-cookie" not in ready.headers


@pytest.mark.parametrize("page", PAGES)
def test_pages_of_an_empty_shop_say_what_to_do(shop: Shop, page: str) -> None:
    answer = shop.client.get(page)

    assert answer.status_code == 200
    assert 'class="card empty"' in answer.text


def test_a_wrong_password_is_refused_without_saying_which_half_was_wrong(visitor: Shop) -> None:
    wrong = visitor.sign_in("owner@alnoor.example", "guess")
    unknown = visitor.sign_in("nobody@alnoor.example", "guess")

    assert wrong.status_code == unknown.status_code == 401
    assert "E-mail or password is not right." in wrong.text
    assert "E-mail or password is not right." in unknown.text


def test_passwords_are_kept_as_argon2_hashes(backoffice: BackOffice) -> None:
    with backoffice.sessions() as session:
        hashes = [user.password_hash for user in session.query(User)]

    assert len(hashes) == 2
    assert all(each.startswith("$argon2id$") for each in hashes)


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(visitor: Shop) -> None:
    answer = visitor.sign_in("owner@alnoor.example", "noor-demo-2026")

    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303
    assert "session=" in cookie
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_forged_session_cookie_is_worth_nothing(visitor: Shop) -> None:
    visitor.client.cookies.set("session", "eyJ1c2VyX2lkIjogMX0=.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")

    assert visitor.client.get("/products").status_code == 303


def test_after_signing_out_the_pages_are_closed(shop: Shop) -> None:
    shop.client.post("/sign-out", data={"csrf_token": shop.csrf("/products")})

    assert shop.client.get("/products").status_code == 303


def test_a_user_who_was_removed_is_signed_out(shop: Shop) -> None:
    with shop.backoffice.sessions.begin() as session:
        session.query(User).filter_by(email="owner@alnoor.example").delete()

    assert shop.client.get("/products").status_code == 303


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_signing_in_never_sends_the_user_to_another_site(visitor: Shop, goal: str) -> None:
    data = {
        "csrf_token": visitor.csrf(),
        "email": "owner@alnoor.example",
        "password": "noor-demo-2026",
        "next": goal,
    }

    assert visitor.client.post("/sign-in", data=data).headers["location"] == "/"


@pytest.mark.parametrize(
    "path", ["/sign-in", "/sign-out", "/language", "/imports", "/notifications/read"]
)
@pytest.mark.parametrize("token", [None, "", "guess", "ط"])
def test_every_form_needs_the_token_of_its_session(
    shop: Shop, path: str, token: str | None
) -> None:
    data = {} if token is None else {"csrf_token": token}
    answer = shop.client.post(
        path, data=data, files={"file": ("a.csv", b"x")} if path == "/imports" else None
    )

    assert answer.status_code == 403
    assert "reload the page" in answer.text
    assert shop.client.get("/products").status_code == 200, "and nothing happened"


def test_a_token_of_another_session_is_refused(shop: Shop, other_shop: Shop) -> None:
    stolen = other_shop.csrf("/products")

    assert shop.client.post("/sign-out", data={"csrf_token": stolen}).status_code == 403


@pytest.mark.parametrize("page", ["/sign-in", "/nowhere", "/static/backoffice.css"])
def test_every_answer_forbids_scripts_of_others(visitor: Shop, page: str) -> None:
    policy = visitor.client.get(page).headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_page_has_anything_inline(sign_in: Callable[..., Shop], language: str) -> None:
    shop = sign_in(language=language)
    shop.upload(csv_file([("A1", "<script>alert(1)</script>", "x")]))

    for page in (*PAGES, "/imports/1", "/nowhere"):
        html = shop.client.get(page).text
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), page
        assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", html), page


def test_text_of_a_file_stays_text(shop: Shop) -> None:
    shop.upload(csv_file([("A1", "<script>alert(1)</script>", "5")]))
    shop.upload(csv_file([("<b>A2</b>", "<img src=x>", "x")]), "<img src=x>.csv")

    assert "&lt;script&gt;" in shop.client.get("/products").text
    page = shop.client.get("/imports/2").text
    assert "<img" not in page
    assert "<b>A2" not in page


def test_a_page_that_is_not_there_says_so_in_the_users_language(
    sign_in: Callable[..., Shop],
) -> None:
    english, arabic = sign_in(), sign_in(language="ar")

    for path in ("/nowhere", "/imports/999", "/imports/x", "/imports/999/rejected.csv"):
        assert english.client.get(path).status_code == 404
        assert "This page is not there" in english.client.get(path).text
        assert "هذه الصفحة غير موجودة" in arabic.client.get(path).text
    assert english.client.get("/nowhere", headers=JSON).json()["success"] is False


def test_an_error_of_ours_shows_no_traceback(
    backoffice: BackOffice, monkeypatch: pytest.MonkeyPatch, sign_in: Callable[..., Shop]
) -> None:
    shop = sign_in()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(backoffice.products, "page", broken)
    quiet = TestClient(
        shop.client.app,
        raise_server_exceptions=False,
        cookies=dict(shop.client.cookies),
    )
    answer = quiet.get("/products")

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "secret detail" not in answer.text


def test_the_language_is_the_browsers_until_one_is_chosen(visitor: Shop) -> None:
    arabic = {"Accept-Language": "ar-IQ,ar;q=0.9,en;q=0.5"}
    page = visitor.client.get("/sign-in", headers=arabic).text
    assert '<html lang="ar" dir="rtl">' in page

    chosen = visitor.client.post(
        "/language",
        data={"csrf_token": visitor.csrf(), "language": "en", "next": "/sign-in"},
    )
    assert chosen.headers["location"] == "/sign-in"
    page = visitor.client.get("/sign-in", headers=arabic).text
    assert '<html lang="en" dir="ltr">' in page


def test_products_are_found_by_any_spelling(shop: Shop) -> None:
    rows = [("A1", "Coffee", "قهوة مطحونة", "1"), ("A2", "Oil", "زيت أزيتون", "2")]
    shop.upload(csv_file(rows, ("sku", "name", "name_ar", "price")))

    def found(query: str) -> list[str]:
        html = shop.client.get("/products", params={"q": query}).text
        return re.findall(r'<td class="code"><bdi>(A\d)</bdi></td>', html)

    assert found("coffee") == ["A1"]
    assert found("قهوه") == ["A1"]
    assert found("مطحونه قهوة") == ["A1"]
    assert found("ازيتون") == ["A2"]
    assert found("a2") == ["A2"]
    assert found("%") == []
    assert "Nothing found" in shop.client.get("/products?q=zzz").text


def test_pages_of_products_follow_each_other_and_lead_back(shop: Shop) -> None:
    shop.imported(csv_file(many(120)))

    seen: list[str] = []
    address = "/products"
    trail = [address]
    while True:
        html = shop.client.get(address).text
        seen += re.findall(r'<td class="code"><bdi>(A\d+)</bdi></td>', html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        if following is None:
            break
        address = following[1].replace("&amp;", "&")
        trail.append(address)
    assert seen == [f"A{n:05}" for n in range(120)]
    assert len(trail) == 3

    back = re.search(r'rel="prev" href="([^"]+)"', shop.client.get(trail[2]).text)
    assert back
    html = shop.client.get(back[1].replace("&amp;", "&")).text
    assert re.findall(r"<bdi>(A\d+)</bdi>", html) == [f"A{n:05}" for n in range(50, 100)]
