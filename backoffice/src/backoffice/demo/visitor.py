"""A visitor of the web side, with nothing but the standard library: cookies, forms, uploads."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode, urlsplit

JSON = {"Accept": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8-sig")

    def json(self) -> Any:
        return json.loads(self.body)


class Visitor:
    """One browser session over one kept-alive connection."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(str(urlsplit(address).netloc), timeout=60)
        self._cookies: dict[str, str] = {}

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self._ask("GET", path, None, headers or {})

    def post(self, path: str, fields: dict[str, str]) -> Answer:
        body = urlencode(fields).encode()
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def upload(
        self, path: str, fields: dict[str, str], *, name: str, content: bytes, key: str
    ) -> Answer:
        """Sends a file as a form does, as an API client that wants JSON."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields.items()
        ]
        parts.append(
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: text/csv\r\n\r\n"
        )
        body = "".join(parts).encode() + content + f"\r\n--{mark}--\r\n".encode()
        headers = {
            **JSON,
            "Content-Type": f"multipart/form-data; boundary={mark}",
            "Idempotency-Key": key,
        }
        return self._ask("POST", path, body, headers)

    def token(self, page: str) -> str:
        """The token of a page's forms."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        if found is None:
            raise ValueError(f"no form on {page}")
        return found[1]

    def sign_in(self, email: str, password: str) -> Answer:
        token = self.token("/sign-in")
        fields = {"csrf_token": token, "email": email, "password": password}
        return self.post("/sign-in", fields)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        sent = {"Accept": "text/html", **headers, **({"Cookie": cookies} if cookies else {})}
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        for header in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(header).items():
                self._cookies[name] = morsel.value
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, found, response.read())
