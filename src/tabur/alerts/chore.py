"""Watching beside other work."""

from __future__ import annotations

import logging

from tabur.alerts.watch import EVERY, Watch, Watched
from tabur.errors import TaburError

__all__ = ["EVERY", "AlertChore", "alert_chore"]

_log = logging.getLogger("tabur.alerts")


class AlertChore:
    """One look with each call, for a thread of its own: it takes as long as the stores and the
    channels do, half a minute at most where they hang. Nothing comes out of it: what goes wrong is
    said in the log, once for each thing."""

    def __init__(self, app: Watched) -> None:
        self._app = app
        self._watch: Watch | None = None
        self._said: str | None = None

    def __call__(self) -> None:
        try:
            if self._watch is None:
                self._watch = Watch(self._app)
            self._watch.look()
        except TaburError as error:
            self._say(str(error))
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")
            _log.debug("alerts: a look failed", exc_info=True)
        else:
            self._said = None

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            _log.warning("alerts: nothing could be looked at: %s", text)


def alert_chore(app: Watched) -> AlertChore:
    """What a scheduler calls every `EVERY` seconds to watch this app. Where `app.has_alerts` is
    false there is nothing to watch, and nothing to import."""
    return AlertChore(app)
