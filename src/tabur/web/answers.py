"""The JSON envelope of every answer, and the one way to refuse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


class Refused(Exception):
    """Ends a request: `status` and the key of a sentence in `texts`."""

    def __init__(self, status: int, key: str, *, retry_after: int | None = None) -> None:
        super().__init__(key)
        self.status = status
        self.key = key
        self.retry_after = retry_after


def json_response(
    content: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(
        body,
        status,
        headers={
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            # A read token in the address is not to reach the next site as a Referer.
            "Referrer-Policy": "no-referrer",
            **(headers or {}),
        },
    )


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response({"success": False, "message": message}, status, headers)


def success(message: str, data: Mapping[str, Any], status: int = 202) -> Response:
    return json_response({"success": True, "message": message, "data": data}, status)
