"""What belongs to one business, another one cannot see, count, change or guess."""

from __future__ import annotations

import pytest

from backoffice.modules.products.models import Product
from tests.backoffice.helpers import JSON, Shop, csv_file, many


@pytest.fixture
def page(shop: Shop) -> str:
    """The page of an import of Al Noor, queued and run, with a rejected row."""
    work = shop.imported(csv_file([*many(60), ("X", "Secret", "")]))
    return f"/imports/{work['import_id']}"


def test_products_of_others_are_not_listed_nor_found(
    shop: Shop, other_shop: Shop, page: str
) -> None:
    assert len(shop.skus()) == 50

    for path in ("/products", "/products?q=Tea", "/products?after=A", "/products?before=Z"):
        assert other_shop.skus(path) == []


def test_the_same_sku_of_two_businesses_is_two_products(shop: Shop, other_shop: Shop) -> None:
    shop.imported(csv_file([("A1", "Tea of Al Noor", "1000")]))
    other_shop.imported(csv_file([("A1", "Tea of Kilimani", "50")]))

    assert "Tea of Al Noor" in shop.client.get("/products").text
    assert "Tea of Kilimani" in other_shop.client.get("/products").text
    with shop.backoffice.sessions() as session:
        assert session.query(Product).filter_by(sku="A1").count() == 2


@pytest.mark.parametrize("path", ["", "/rejected.csv"])
def test_imports_of_others_are_not_there(other_shop: Shop, page: str, path: str) -> None:
    assert other_shop.client.get(page + path).status_code == 404
    assert other_shop.client.get(page + path, headers=JSON).status_code == 404
    assert "Secret" not in other_shop.client.get(page + path).text


def test_imports_of_others_are_not_listed(other_shop: Shop, page: str) -> None:
    assert page not in other_shop.client.get("/imports").text


def test_jobs_of_others_have_no_status_and_cannot_be_called_back(
    shop: Shop, other_shop: Shop
) -> None:
    check = shop.upload(csv_file(many(60))).headers["location"]
    same_site = {"Sec-Fetch-Site": "same-origin"}

    assert shop.client.get(check).status_code == 200
    assert other_shop.client.get(check).status_code == 404
    assert other_shop.client.post(f"{check}/cancel", headers=same_site).status_code == 404
    data = {"csrf_token": other_shop.token}
    assert other_shop.client.post("/imports/1/cancel", data=data).status_code == 404
    assert shop.client.get(check).json()["status"] == "pending"


def test_notifications_of_others_are_not_shown_nor_marked(
    shop: Shop, other_shop: Shop, page: str
) -> None:
    assert "Nothing new" in other_shop.client.get("/notifications").text

    other_shop.client.post("/notifications/read", data={"csrf_token": other_shop.token})

    assert 'class="unread"' in shop.client.get("/notifications").text


def test_without_a_session_nothing_of_it_is_there(shop: Shop, page: str) -> None:
    shop.client.cookies.delete("session")

    for path in (page, f"{page}/rejected.csv", "/products"):
        assert shop.client.get(path).status_code == 303
