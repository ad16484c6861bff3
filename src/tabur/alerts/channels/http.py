"""One POST of JSON: bounded in time, without redirects, and errors without addresses."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tabur.alerts.channels import TIMEOUT, NotSent
from tabur.errors import ConfigError


def checked_url(url: Any, what: str) -> str:
    """Raises ConfigError; the address is left out, since it may be a secret itself."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
        parts.port  # noqa: B018  # raises for what is no port
    except (ValueError, AttributeError, TypeError):
        is_url = False
    if not is_url or not isinstance(url, str) or any(each <= " " or each == "\x7f" for each in url):
        raise ConfigError(f"{what} is no address; write https://….")
    return url


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Raises NotSent for any answer but 2xx."""
    request = urllib.request.Request(  # noqa: S310  # checked_url lets http and https pass
        url,
        data=body,
        method="POST",
        headers={"Content-Type": "application/json", "User-Agent": "tabur", **headers},
    )
    try:
        with _opener().open(request, timeout=TIMEOUT) as answer:
            answer.read(1_000)
    except urllib.error.HTTPError as error:
        with error:
            raise NotSent(f"It answered {error.code}{_HINTS.get(error.code, '')}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSent(_why(error)) from None


def _opener() -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    return urllib.request.build_opener(_NoRedirects(), urllib.request.HTTPSHandler(context=context))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is a failure (Standard Webhooks): what is signed goes to nobody else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"No answer within {TIMEOUT:g} s."
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"Its certificate is not trusted: {reason.verify_message}."
    if isinstance(reason, ssl.SSLError):
        return f"TLS was refused ({reason.reason or 'SSLError'})."
    if isinstance(reason, OSError) and reason.strerror:
        return f"No connection: {reason.strerror}."
    return f"No connection ({type(reason).__name__})."


_HINTS = {
    301: " (a redirect: write the address that it leads to)",
    302: " (a redirect: write the address that it leads to)",
    307: " (a redirect: write the address that it leads to)",
    308: " (a redirect: write the address that it leads to)",
    401: " (is the token right?)",
    403: " (is the token right?)",
    404: " (is the address right?)",
    410: " (it is gone for good: take it away)",
    429: " (too many at once)",
}
