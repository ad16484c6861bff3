"""Whether a request that changes something may have been made by another site (CSRF)."""

from __future__ import annotations

from starlette.requests import Request

# Browsers add these by themselves, to requests of other sites too.
_AMBIENT = frozenset({"basic", "digest", "negotiate", "ntlm"})


def forged(request: Request) -> bool:
    """True unless the request shows that this site's own code, or no browser at all, made it.

    Enough is one of: an Authorization header that no browser adds by itself; Sec-Fetch-Site
    `same-origin` or `none` (sent by every current browser, and out of reach of scripts); or
    X-Requested-With, which another site's page cannot add without a CORS preflight. What the
    browser itself calls cross-site is refused even so.
    """
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme and scheme not in _AMBIENT:
        return False
    site = request.headers.get("sec-fetch-site")
    if site in {"same-origin", "none"}:
        return False
    return site == "cross-site" or "x-requested-with" not in request.headers
