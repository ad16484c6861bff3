"""A webhook signed as Standard Webhooks 1.0 has it (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from tabur.alerts.channels import TIMEOUT, NotSent
from tabur.alerts.channels.http import checked_url, post
from tabur.alerts.messages import Message
from tabur.errors import ConfigError

#: Seconds for all messages of one look.
_ALL = 2 * TIMEOUT


class WebhookChannel:
    """POSTs each message: `type` is `alert.fired`, `alert.repeated` or `alert.resolved`."""

    kind = "webhook"

    def __init__(self, name: str, language: str, url: Any, secret: Any) -> None:
        self.name = name
        self.language = language
        self._url = checked_url(url, "The address of the webhook")
        self._key = webhook_key(secret)

    def send(self, messages: Sequence[Message]) -> None:
        sent: list[str] = []
        end = time.monotonic() + _ALL
        for message in messages:
            if time.monotonic() > end:
                raise NotSent("It answers too slowly; the rest follows.", sent=sent)
            body = _body(message)
            at = int(time.time())
            headers = {
                "webhook-id": message.id,
                "webhook-timestamp": str(at),
                "webhook-signature": sign(self._key, message.id, at, body),
            }
            try:
                post(self._url, body, headers)
            except NotSent as error:
                raise NotSent(str(error), sent=sent) from None
            sent.append(message.id)


def sign(key: bytes, message_id: str, at: int, body: bytes) -> str:
    """`at`: seconds since the epoch."""
    signed = hmac.new(key, b"%s.%d." % (message_id.encode(), at) + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def webhook_key(secret: Any) -> bytes:
    """The key that a secret stands for. Raises ConfigError, without the secret."""
    try:
        text = secret.removeprefix("whsec_")
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ConfigError(
            "The secret of the webhook is whsec_ and 24 to 64 random bytes in base64. Make one: "
            "python -c \"import base64, os; print('whsec_' + "
            'base64.b64encode(os.urandom(32)).decode())"'
        )
    return key


def _body(message: Message) -> bytes:
    return msgspec.json.encode(
        {"type": f"alert.{message.told}", "timestamp": message.at, "data": message}
    )
