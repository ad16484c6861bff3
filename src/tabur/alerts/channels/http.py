"""One POST of JSON to an address that may be a secret: no error names it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from tabur.alerts.channels import TIMEOUT, NotSent
from tabur.errors import ConfigError
from tabur.integrations import http


def checked_url(url: Any, what: str) -> str:
    """Raises ConfigError."""
    try:
        return http.check_url(url, what)
    except ConfigError:
        raise ConfigError(f"{what} is no address; write https://….") from None


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Raises NotSent for any answer but 2xx."""
    try:
        http.post(url, body, {"Content-Type": "application/json", **headers}, timeout=TIMEOUT)
    except http.RequestFailed as error:
        if error.status is not None:
            raise NotSent(f"It answered {error.status}{_HINTS.get(error.status, '')}.") from None
        raise NotSent(_why(error.__cause__)) from None


def _why(error: BaseException | None) -> str:
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
