"""Sending mail by SMTP, as the settings MAIL_HOST, MAIL_PORT, MAIL_USERNAME … say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tabur.config import Settings
from tabur.errors import ConfigError, TaburError
from tabur.model.text import shown, storable

if TYPE_CHECKING:
    import smtplib

#: Seconds without a word from the server after which it is given up.
TIMEOUT = 20.0
ENCRYPTIONS = ("", "starttls", "ssl")
_SYNONYMS = {"tls": "starttls", "smtps": "ssl", "null": "", "none": ""}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Of a body (bytes): a mail is for reading.
_LONGEST = 1_000_000


class MailFailed(TaburError):
    """The server refused it or did not answer. `permanent`: it would refuse it again."""

    def __init__(self, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.permanent = permanent


@dataclass(frozen=True)
class MailServer:
    """`encryption`: `starttls` (Laravel's `tls`), `ssl`, or nothing: then TLS is used where the
    server offers it. `sender` as `"Shop <shop@example.com>"` or an address alone."""

    host: str = "127.0.0.1"
    port: int = 25
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str = ""
    encryption: str = ""

    def __post_init__(self) -> None:
        encryption = _SYNONYMS.get(self.encryption.lower(), self.encryption.lower())
        if encryption not in ENCRYPTIONS:
            raise ConfigError(
                f"MAIL_ENCRYPTION={shown(self.encryption)} is not known; write starttls, ssl, or "
                "nothing."
            )
        object.__setattr__(self, "encryption", encryption)
        if not 1 <= self.port <= 65_535:
            raise ConfigError(f"MAIL_PORT={self.port}: a number from 1 to 65,535 is needed.")


def mail_server(settings: Settings) -> MailServer:
    """As the settings say. Raises ConfigError."""
    return MailServer(
        settings.mail_host,
        settings.mail_port,
        settings.mail_username,
        settings.mail_password,
        settings.mail_from,
        settings.mail_encryption,
    )


def check_address(address: str, what: str) -> str:
    """Raises ConfigError for what is no address of mail."""
    from email.utils import parseaddr  # the package takes long to import

    given: Any = address
    name, found = parseaddr(given) if isinstance(given, str) else ("", "")
    local, at, domain = found.rpartition("@")
    whole = isinstance(given, str) and given.isprintable() and (name or given == found)
    if not (at and local and domain and whole) or " " in found:
        raise ConfigError(f"{what}={shown(address)} is no address of mail.")
    return address


def send_mail(server: MailServer, to: Sequence[str], *, subject: str, body: str) -> None:
    """Send one mail of text. Raises MailFailed, and ConfigError where no sender is set."""
    import smtplib
    from email.message import EmailMessage
    from email.utils import formatdate, make_msgid, parseaddr

    if not server.sender:
        raise ConfigError("Who sends the mail? Set MAIL_FROM, such as shop@example.com.")
    message = EmailMessage()
    message["From"] = check_address(server.sender, "MAIL_FROM")
    message["To"] = ", ".join(check_address(each, "to") for each in to)
    message["Subject"] = " ".join(storable(subject, limit=200).split())
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=parseaddr(server.sender)[1].rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(storable(body, limit=_LONGEST))
    try:
        with _connected(server) as connection:
            connection.send_message(message)
    except (smtplib.SMTPException, OSError) as error:
        codes = getattr(error, "smtp_code", None)
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            codes = min((code for code, _ in error.recipients.values()), default=None)
        raise MailFailed(
            f"The mail server {server.host}:{server.port} did not take it: {_reason(error)}. See "
            "MAIL_HOST, MAIL_PORT, MAIL_USERNAME, MAIL_PASSWORD and MAIL_ENCRYPTION.",
            permanent=isinstance(codes, int) and 500 <= codes < 600,
        ) from error


def _connected(server: MailServer) -> smtplib.SMTP:
    import smtplib
    import ssl

    trusted = ssl.create_default_context()
    if server.encryption == "ssl":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT, context=trusted
        )
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT)
    try:
        connection.ehlo()
        local = server.host in _LOOPBACK or server.host.startswith("/")
        wanted = server.encryption == "starttls"
        if wanted or (connection.has_extn("starttls") and not server.encryption and not local):
            connection.starttls(context=trusted)
            connection.ehlo()
        elif server.username and server.encryption != "ssl" and not local:
            raise smtplib.SMTPException("it offers no TLS, and a password is not sent without")
        if server.username:
            connection.login(server.username, server.password or "")
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(error: Exception) -> str:
    return " ".join(storable(str(error) or type(error).__name__, limit=500).split())
