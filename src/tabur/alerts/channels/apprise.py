"""Any address that apprise knows: more than a hundred services."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        title, text = together(messages, language=self.language)
        kind = "success" if all(each.told == "resolved" for each in messages) else "warning"
        with _discreet.while_sending():
            service = apprise.Apprise()
            if not service.add(self._url):
                raise NotSent("The address is none that apprise knows: see its list of services.")
            if not service.notify(body=text, title=title, notify_type=kind):
                raise NotSent("The service did not take it; apprise has logged why.")


class _Discreet(logging.Filter):
    """At DEBUG, apprise and urllib3 log whole addresses, with passwords and tokens in them, and
    from threads of apprise's own: while an alert is sent they are not to."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._sending = 0

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO or not self._sending

    @contextmanager
    def while_sending(self) -> Iterator[None]:
        for name in ("apprise", "urllib3.connectionpool"):
            logging.getLogger(name).addFilter(self)  # once, however often it is added
        with self._lock:
            self._sending += 1
        try:
            yield
        finally:
            with self._lock:
                self._sending -= 1


_discreet = _Discreet()
