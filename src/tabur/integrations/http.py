"""Small HTTP requests: pings of a monitor, posts to a webhook. By the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tabur.errors import ConfigError, TaburError
from tabur.model.text import shown, storable

#: Seconds that an answer may take.
TIMEOUT = 10.0
#: Of an answer (bytes) that is read.
_READ = 64 * 1024


class RequestFailed(TaburError):
    """No answer, or one that is no success. `status`: what it was; None: there was none."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.permanent = (
            status is not None and 400 <= status < 500 and status not in (408, 425, 429)
        )


def check_url(url: str, what: str) -> str:
    """Raises ConfigError for what is no http or https URL."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()
        parts.port  # noqa: B018  # raises for what is no port
    except (ValueError, AttributeError, TypeError):
        fine = False
    if not fine or " " in url:
        raise ConfigError(f"{what}={shown(url)} is no address; write https://…")
    return url


def ping(url: str, *, timeout: float = TIMEOUT) -> None:
    """A GET whose answer has to be a success. Raises RequestFailed."""
    request(url, timeout=timeout)


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float = TIMEOUT) -> bytes:
    """Answers the beginning of the body. Raises RequestFailed."""
    return request(url, body, headers, timeout=timeout)


def request(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout: float = TIMEOUT,
) -> bytes:
    """A GET, or a POST where there is a body; redirections of a GET are followed, those of a POST
    are a failure: what is signed goes to nobody else. Raises RequestFailed, whose cause is the
    client's error, and ConfigError."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class NoRedirects(HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    asked = Request(  # noqa: S310  # http and https alone, by check_url
        check_url(url, "url"), body, {"User-Agent": "tabur", **(headers or {})}
    )
    host = urlsplit(url).hostname
    opener = build_opener() if body is None else build_opener(NoRedirects)
    try:
        with opener.open(asked, timeout=timeout) as answer:
            return bytes(answer.read(_READ))
    except HTTPError as error:
        with error:
            said = error.read(500).decode("utf-8", "replace")
        told = f": {' '.join(storable(said, limit=300).split())}" if said else ""
        raise RequestFailed(f"{host} answered {error.code}{told}", status=error.code) from error
    except (OSError, HTTPException, ValueError) as error:
        raise RequestFailed(f"{host} did not answer: {getattr(error, 'reason', error)}") from error
