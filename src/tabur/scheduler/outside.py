"""What a scheduled run may reach outside: mail, monitors, and where the app is found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from tabur.config import Settings
from tabur.errors import TaburError

_log = logging.getLogger("tabur.scheduler")


class Outside:
    """`spec` answers the app's place, `shop.main:jobs`, or None where nobody has said it."""

    def __init__(self, settings: Settings, spec: Callable[[], str | None]) -> None:
        self._settings = settings
        self.spec = spec

    def mail(self, to: Sequence[str], *, subject: str, body: str) -> None:
        """What goes wrong is logged: the run is over, and has ended as it has."""
        from tabur.integrations.mail import mail_server, send_mail

        try:
            send_mail(mail_server(self._settings), to, subject=subject, body=body)
        except TaburError as error:
            _log.error("%s: the mail to %s was not sent: %s", subject, ", ".join(to), error)

    def ping(self, url: str) -> None:
        """What goes wrong is logged."""
        from tabur.integrations.http import ping

        try:
            ping(url)
        except TaburError as error:
            _log.warning("A ping was lost: %s", error)
