"""Watching beside other work: in a thread of its own, so that nothing waits for it."""

from __future__ import annotations

import logging
import threading

from tabur.alerts.sending import PATIENCE
from tabur.alerts.watch import EVERY, Watch, Watched
from tabur.errors import TaburError

_log = logging.getLogger("tabur.alerts")


class AlertChore:
    """Called every `every` seconds, it starts a look, and returns at once. Nothing comes out of it:
    what goes wrong is said in the log, once for each thing."""

    name = "alerts"
    every = EVERY

    def __init__(self, app: Watched) -> None:
        self._app = app
        self._watch: Watch | None = None
        self._thread: threading.Thread | None = None
        self._said: str | None = None

    def __call__(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        self._thread = threading.Thread(target=self._look, name="tabur-alerts", daemon=True)
        self._thread.start()

    def wait(self, timeout: float = 2 * PATIENCE) -> bool:
        """Wait until the look that runs has ended, for who is about to exit. False: it has not."""
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _look(self) -> None:
        try:
            if self._watch is None:
                self._watch = Watch(self._app)
            self._watch.look()
        except TaburError as error:
            self._say(str(error))
        except Exception as error:
            if self._say(f"{type(error).__name__}: {error}"):
                _log.debug("alerts: a look failed", exc_info=True)
        else:
            self._said = None

    def _say(self, text: str) -> bool:
        if text == self._said:
            return False
        self._said = text
        _log.warning("alerts: nothing could be looked at: %s", text)
        return True


def alert_chore(app: Watched) -> AlertChore:
    """The chore of a scheduler that watches this app. Ask `app.has_alerts` first: without any,
    there is nothing to import."""
    return AlertChore(app)
