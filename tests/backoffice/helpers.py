"""A shop's owner at the browser or behind an API client, and files to upload."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import xlsxwriter
from httpx2 import Response
from itsdangerous import TimestampSigner
from sqlalchemy import func, select
from starlette.testclient import TestClient

from backoffice.modules.accounts.api import DemoAccount
from backoffice.modules.accounts.models import User
from backoffice.modules.products.models import Product
from backoffice.wiring import BackOffice

JSON = {"Accept": "application/json"}
HEADER = ("SKU", "Name", "Price")


@dataclass
class Shop:
    client: TestClient
    backoffice: BackOffice
    token: str = ""

    def enter(self, account: DemoAccount) -> None:
        """Signs in without the form: checking a password takes its time, and must."""
        self.token = f"token of {account.slug}"
        with self.backoffice.sessions() as session:
            user = session.query(User).filter_by(email=account.email).one()
        content = b64encode(json.dumps({"user_id": user.id, "csrf": self.token}).encode())
        signed = TimestampSigner(self.backoffice.settings.secret).sign(content)
        self.client.cookies.set("session", signed.decode(), domain="testserver.local")

    def csrf(self, page: str = "/sign-in") -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.client.get(page).text)
        assert found, f"no form on {page}"
        return found[1]

    def sign_in(self, email: str, password: str) -> Response:
        data = {"csrf_token": self.csrf(), "email": email, "password": password}
        return self.client.post("/sign-in", data=data)

    def upload(
        self,
        content: bytes,
        name: str = "list.csv",
        *,
        key: str | None = None,
        browser: bool = False,
    ) -> Response:
        headers = {} if browser else dict(JSON)
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(
            "/imports",
            data={"csrf_token": self.token},
            files={"file": (name, content)},
            headers=headers,
        )

    def imported(self, content: bytes, name: str = "list.csv") -> dict[str, Any]:
        """Uploads, lets the job run if there is one, and answers the import as JSON."""
        answer = self.upload(content, name)
        assert answer.status_code in (201, 202), answer.text
        if answer.status_code == 201:
            return dict(answer.json()["data"])
        page = re.search(r"<(.+?)>", answer.headers["Link"])
        assert page
        self.run(int(page[1].rpartition("/")[2]))
        return dict(self.client.get(page[1], headers=JSON).json())

    def run(self, import_id: int) -> Any:
        """Runs the import's job here and now, as its worker would."""
        return self.backoffice.import_job(import_id).run()

    def rejected(self, import_id: int) -> list[str]:
        answer = self.client.get(f"/imports/{import_id}/rejected.csv")
        assert answer.status_code == 200
        return answer.content.decode("utf-8-sig").splitlines()

    def skus(self, page: str = "/products") -> list[str]:
        html = self.client.get(page).text
        return re.findall(r'<td class="code"><bdi>([^<]+)</bdi></td>', html)

    def count_products(self) -> int:
        with self.backoffice.sessions() as session:
            return session.scalar(select(func.count()).select_from(Product)) or 0


def csv_file(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = HEADER,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> bytes:
    lines = [delimiter.join(row) for row in (header, *rows)]
    return "\r\n".join([*lines, ""]).encode(encoding)


def many(count: int, *, prefix: str = "A") -> list[tuple[str, str, str]]:
    return [(f"{prefix}{n:05}", f"Tea {n}", str(1000 + n)) for n in range(count)]


def xlsx_file(rows: Sequence[Sequence[object]], header: Sequence[object] = HEADER) -> bytes:
    out = io.BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate((header, *rows)):
            sheet.write_row(number, 0, row)
    return out.getvalue()
