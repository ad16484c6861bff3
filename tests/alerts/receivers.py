"""Those who are told: a real SMTP server and a real HTTP server, which keep what they get."""

from __future__ import annotations

import email
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PASSWORD = "correct horse battery"


class Mailbox:
    """What an SMTP server has received. `refuses`: an answer to every mail instead."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses: str | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # its own name
        if self.refuses is not None:
            return self.refuses
        content = envelope.original_content
        assert content is not None
        self.mails.append(email.message_from_bytes(content, policy=default))
        return "250 OK"

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]).strip() for mail in self.mails]

    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]


@dataclass
class PostOffice:
    mailbox: Mailbox
    port: int


@contextmanager
def post_office(**given: Any) -> Iterator[PostOffice]:
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **given)
    controller.start()
    try:
        yield PostOffice(mailbox, controller.port)
    finally:
        controller.stop()


def login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> Any:
    given = cast(LoginPassword, data)
    return AuthResult(success=given.password == PASSWORD.encode(), handled=False)


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """An HTTP server. `answers`: the status for a path, 200 where none is said; `refuses_from`: 500
    from which request of a path on; `hangs`: paths that are not answered until `released`."""

    url: str
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    refuses_from: dict[str, int] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    released: threading.Event = field(default_factory=threading.Event)

    def at(self, path: str) -> list[Request]:
        return [each for each in self.requests if each.path == path]


@contextmanager
def receiver(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    made: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept = made[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kept.requests.append(Request(self.path, headers, body))
            if self.path in kept.hangs:
                kept.released.wait(60)
                return
            status = kept.answers.get(self.path, 200)
            if len(kept.at(self.path)) >= kept.refuses_from.get(self.path, 10**9):
                status = 500
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815  # its own name

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    scheme = "http"
    if context is not None:
        scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True)
    made.append(Receiver(f"{scheme}://127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made[0]
    finally:
        made[0].released.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def certificate(folder: Path) -> ssl.SSLContext:
    """Of a server that nobody has a reason to trust."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
