"""E-mail."""

from __future__ import annotations

from collections.abc import Sequence

from tabur.alerts.channels import NotSent
from tabur.alerts.messages import Message, together
from tabur.errors import ConfigError
from tabur.integrations.mail import MailFailed, MailServer, send_mail


class EmailChannel:
    """All that is to be told at once is one mail."""

    kind = "email"

    def __init__(self, name: str, language: str, server: MailServer, to: Sequence[str]) -> None:
        self.name = name
        self.language = language
        self._server = server
        self._to = tuple(to)

    def send(self, messages: Sequence[Message]) -> None:
        title, text = together(messages, language=self.language)
        try:
            send_mail(self._server, self._to, subject=title, body=text)
        except (MailFailed, ConfigError) as error:
            raise NotSent(str(error)) from None
