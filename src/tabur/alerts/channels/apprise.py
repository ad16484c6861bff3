"""Any address that apprise knows: more than a hundred services."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from tabur.alerts.channels import NotSent
from tabur.alerts.messages import Message, together
from tabur.errors import ConfigError


class AppriseChannel:
    """One address. (With several in one channel, the one that fails would have all of them told
    again.)"""

    kind = "apprise"

    def __init__(self, name: str, language: str, url: Any) -> None:
        """Raises ConfigError. What apprise itself thinks of the address shows when something is
        sent: to ask it takes longer than a command may."""
        if not isinstance(url, str) or not url.partition("://")[1]:
            raise ConfigError(
                "Addresses of apprise look like ntfy://host/topic or tgram://token/chat."
            )
        self.name = name
        self.language = language
        self._url = url

    def send(self, messages: Sequence[Message]) -> None:
        try:
            import apprise
        except ModuleNotFoundError as error:
            if error.name != "apprise":
                raise
            raise NotSent("It needs apprise. Run: pip install 'tabur[alerts]'") from None
        _hush()
        service = apprise.Apprise()
        if not service.add(self._url):
            raise NotSent("The address is none that apprise knows: look at its list of services.")
        title, text = together(messages, language=self.language)
        kind = "success" if all(each.told == "resolved" for each in messages) else "warning"
        if not service.notify(body=text, title=title, notify_type=kind):
            raise NotSent("The service did not take it; apprise has logged why.")


def _hush() -> None:
    """At DEBUG it logs whole addresses, passwords among them."""
    log = logging.getLogger("apprise")
    if log.getEffectiveLevel() < logging.INFO:
        log.setLevel(logging.INFO)
