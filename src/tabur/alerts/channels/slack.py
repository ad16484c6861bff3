"""An incoming webhook of Slack, or of what speaks like it (Mattermost, Rocket.Chat, Discord's
`/slack`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tabur.alerts.channels.http import checked_url, post
from tabur.alerts.messages import Message, together

#: Characters; Slack cuts at 40,000, others earlier.
_LONGEST = 3_500


class SlackChannel:
    kind = "slack"

    def __init__(self, name: str, language: str, url: Any) -> None:
        self.name = name
        self.language = language
        self._url = checked_url(url, "The address of the Slack webhook")

    def send(self, messages: Sequence[Message]) -> None:
        title, text = (_escaped(each) for each in together(messages, language=self.language))
        said = f"*{title}*\n{text}"
        if len(said) > _LONGEST:
            said = f"{said[:_LONGEST]} …"
        post(self._url, msgspec.json.encode({"text": said}), {})


def _escaped(text: str) -> str:
    """What Slack would take for a link or a mention is text (docs.slack.dev, "Formatting text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
