"""The channels by themselves: what they send, and what they say when it cannot be sent."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tabur.alerts.channels import Channel, NotSent
from tabur.alerts.channels.apprise import AppriseChannel
from tabur.alerts.channels.email import EmailChannel
from tabur.alerts.channels.slack import SlackChannel
from tabur.alerts.channels.webhook import WebhookChannel, sign, webhook_key
from tabur.alerts.messages import Message
from tabur.alerts.sending import Sending
from tabur.errors import ConfigError
from tabur.integrations import mail as mail_module
from tabur.integrations.mail import MailServer
from tests.alerts.receivers import (
    PASSWORD,
    SECRET,
    PostOffice,
    Receiver,
    certificate,
    free_port,
    login,
    post_office,
    receiver,
)

AT = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)


def message(n: int = 1, **given: Any) -> Message:
    plain: dict[str, Any] = {
        "id": f"msg_{n}",
        "told": "fired",
        "rule": "backlog",
        "scope": "database",
        "subject": "mail",
        "queue": "mail",
        "values": {"size": 5},
        "since": AT,
        "at": AT,
        "title": f"[test] Alert {n}",
        "text": "line one\nline two",
    }
    return Message(**(plain | given))


def why(channel: Channel, *messages: Message) -> str:
    with pytest.raises(NotSent) as raised:
        channel.send(messages or [message()])
    return str(raised.value)


def mail_to(port: int, **given: Any) -> EmailChannel:
    server = MailServer(port=port, sender="tabur@shop.example", **given)
    return EmailChannel("email", "en", server, ["ops@shop.example"])


# the signed webhook


def test_the_vector_of_standard_webhooks() -> None:
    signature = sign(
        webhook_key(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_its_signature_verifies_and_no_other_does(http: Receiver) -> None:
    WebhookChannel("webhook", "en", f"{http.url}/a", SECRET).send([message(1), message(2)])
    first, second = http.requests
    for request in (first, second):
        Webhook(SECRET).verify(request.body, request.headers)
    assert [each.headers["webhook-id"] for each in http.requests] == ["msg_1", "msg_2"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(second.body, first.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 40).verify(first.body, first.headers)
    payload = first.json
    assert payload["type"] == "alert.fired"
    assert payload["timestamp"] == "2026-11-29T08:00:00Z"
    assert payload["data"]["values"] == {"size": 5}
    assert first.headers["content-type"] == "application/json"


@pytest.mark.parametrize("secret", ["", "whsec_", "hush", "whsec_c2hvcnQ=", None, "whsec_é" * 9])
def test_secrets_that_are_none(secret: Any) -> None:
    with pytest.raises(ConfigError, match="24 to 64 random bytes") as raised:
        WebhookChannel("webhook", "en", "https://x.example", secret)
    assert "c2hvcnQ" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["", "ftp://x.example", "https://", "http://a b", "x", None, "http://x:99999", 5]
)
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(ConfigError, match="is no address; write https://"):
        SlackChannel("slack", "en", url)


def test_what_was_sent_before_one_failed_is_said(http: Receiver) -> None:
    """The second message is the first that is refused."""
    http.refuses_from["/a"] = 2
    channel = WebhookChannel("webhook", "en", f"{http.url}/a", SECRET)
    with pytest.raises(NotSent, match="It answered 500") as raised:
        channel.send([message(1), message(2), message(3)])
    assert raised.value.sent == {"msg_1"}


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (500, "It answered 500."),
        (404, "It answered 404 (is the address right?)."),
        (410, "gone for good"),
        (302, "a redirect"),
        (307, "a redirect"),
    ],
)
def test_answers_that_are_no_success(http: Receiver, status: int, says: str) -> None:
    http.answers["/a"] = status
    for channel in (
        WebhookChannel("webhook", "en", f"{http.url}/a", SECRET),
        SlackChannel("slack", "en", f"{http.url}/a"),
    ):
        assert says in why(channel)
    assert {each.path for each in http.requests} == {"/a"}, "no redirect is followed"


def test_one_that_accepts_and_never_answers(
    http: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabur.alerts.channels.http.TIMEOUT", 0.3)
    http.hangs.add("/a")
    started = time.monotonic()
    assert why(SlackChannel("slack", "en", f"{http.url}/a")) == "No answer within 0.3 s."
    assert time.monotonic() - started < 10


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}/token"
    said = why(SlackChannel("slack", "en", url))
    assert said == "No connection: Connection refused."


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    with receiver(certificate(tmp_path)) as server:
        said = why(WebhookChannel("webhook", "en", f"{server.url}/token", SECRET))
        assert said.startswith("Its certificate is not trusted: ")
        assert "token" not in said
        assert server.requests == []


def test_one_that_speaks_no_tls(http: Receiver) -> None:
    url = http.url.replace("http:", "https:")
    assert "TLS was refused" in why(SlackChannel("slack", "en", f"{url}/token"))


# Slack


def test_slack_is_told_several_things_in_one_message_without_mentions(http: Receiver) -> None:
    channel = SlackChannel("slack", "en", f"{http.url}/s")
    channel.send([message(1, text="<!channel> & <https://x|y>"), message(2)])
    (request,) = http.requests
    text = request.json["text"]
    assert text.startswith("*[test] 2 alerts*\n[test] Alert 1\n")
    assert "&lt;!channel&gt; &amp; &lt;https://x|y&gt;" in text
    assert "[test] Alert 2\nline one\nline two" in text
    channel.send([message(1, text="x" * 50_000)])
    assert len(http.requests[-1].json["text"]) < 4_000


# apprise


def test_apprise_and_its_failures(http: Receiver) -> None:
    address = http.url.partition("://")[2]
    channel = AppriseChannel("apprise", "en", f"json://{address}/a")
    channel.send([message(told="resolved")])
    assert http.requests[0].json["type"] == "success"
    channel.send([message()])
    assert http.requests[1].json["type"] == "warning"
    http.answers["/a"] = 500
    assert "did not take it" in why(channel)
    assert "none that apprise knows" in why(AppriseChannel("apprise", "en", "nonsense://x"))
    with pytest.raises(ConfigError, match="ntfy://"):
        AppriseChannel("apprise", "en", "nonsense")


def test_without_apprise_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "apprise", None)
    said = why(AppriseChannel("apprise", "en", "json://x"))
    assert "pip install 'tabur[alerts]'" in said


# mail


def test_several_things_are_one_mail(post: PostOffice) -> None:
    mail_to(post.port).send([message(1), message(2)])
    (mail,) = post.mailbox.mails
    assert mail["Subject"] == "[test] 2 alerts"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "[test] Alert 1\nline one" in mail.get_content().replace("\r\n", "\n")


def test_a_text_in_arabic_arrives_whole(post: PostOffice) -> None:
    title = "[test] انتهى: تراكم في الطابور mail، عدد المهام المنتظرة: 1,001"
    mail_to(post.port).send([message(title=title, text="المكان: database")])
    assert post.mailbox.subjects == [title]
    assert post.mailbox.texts()[0].strip() == "المكان: database"


def test_a_mail_server_that_is_dead() -> None:
    assert "Connection refused" in why(mail_to(free_port()))


def test_a_mail_server_that_refuses(post: PostOffice) -> None:
    post.mailbox.refuses = "554 no thanks"
    assert "554" in why(mail_to(post.port))


def test_a_mail_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert "timed out" in why(mail_to(silent.getsockname()[1]))
        assert time.monotonic() - started < 10


def test_a_mail_server_without_tls_or_with_a_certificate_of_its_own(
    post: PostOffice, tmp_path: Path
) -> None:
    said = why(mail_to(post.port, encryption="starttls", username="u", password=PASSWORD))
    assert "STARTTLS" in said
    assert PASSWORD not in said
    with post_office(tls_context=certificate(tmp_path)) as other:
        said = why(mail_to(other.port, encryption="starttls", username="u", password=PASSWORD))
        assert "certificate" in said
        assert PASSWORD not in said
        assert other.mailbox.mails == []


@pytest.mark.parametrize("password", [PASSWORD, "wrong horse"])
def test_with_a_password(password: str) -> None:
    with post_office(authenticator=login, auth_require_tls=False) as server:
        channel = mail_to(server.port, username="tabur", password=password)
        if password == PASSWORD:  # of a server on this host; elsewhere it would ask for TLS
            channel.send([message()])
            assert len(server.mailbox.mails) == 1
        else:
            said = why(channel)
            assert "535" in said
            assert password not in said


def test_without_a_sender() -> None:
    channel = EmailChannel("email", "en", MailServer(), ["ops@shop.example"])
    assert "Set MAIL_FROM" in why(channel)


# all at once


class Hanging:
    name, kind, language = "hanging", "hanging", "en"

    def __init__(self) -> None:
        self.released = threading.Event()
        self.sent = 0

    def send(self, messages: Any) -> None:
        assert self.released.wait(30)
        self.sent += 1


class Broken:
    name, kind, language = "broken", "broken", "en"

    def send(self, messages: Any) -> None:
        raise ValueError("https://hooks.example/token-of-ours")


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    channel = Hanging()
    yield channel
    channel.released.set()


def test_one_that_hangs_delays_nobody_and_is_given_nothing_more(
    hanging: Hanging, http: Receiver
) -> None:
    fine = SlackChannel("slack", "en", f"{http.url}/s")
    sending = Sending({"hanging": hanging, "slack": fine, "broken": Broken()}, patience=0.5)
    post = {name: [message()] for name in ("hanging", "slack", "broken")}
    started = time.monotonic()
    sent = sending.send(post)
    assert time.monotonic() - started < 10
    assert sent["slack"].ids == {"msg_1"}
    assert sent["slack"].error is None
    assert sent["hanging"].error == "It did not end within 0.5 s."
    assert sent["broken"].error == "It raised ValueError."
    assert "still hangs" in str(sending.send({"hanging": [message()]})["hanging"].error)

    hanging.released.set()
    deadline = time.monotonic() + 30
    while sending.send({"hanging": [message()]})["hanging"].error is not None:
        assert time.monotonic() < deadline
    assert hanging.sent == 2


def test_nothing_secret_is_in_the_logs(
    http: Receiver, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    address = http.url.partition("://")[2]
    http.answers["/token-of-ours"] = 500
    channels: list[Channel] = [
        WebhookChannel("webhook", "en", f"{http.url}/token-of-ours", SECRET),
        SlackChannel("slack", "en", f"{http.url}/token-of-ours"),
        SlackChannel("nobody", "en", f"http://127.0.0.1:{free_port()}/token-of-ours"),
        AppriseChannel("apprise", "en", f"json://user:{'hush'}-hush@{address}/token-of-ours"),
        mail_to(free_port(), username="u", password=PASSWORD),
    ]
    said = [why(each) for each in channels]
    told = "\n".join([*said, caplog.text])
    for secret in ("token-of-ours", "hush-hush", SECRET, SECRET[6:], PASSWORD):
        assert secret not in told
