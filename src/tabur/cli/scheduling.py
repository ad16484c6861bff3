"""Schedulers: `schedule:work`, `schedule:run`, `schedule:interrupt`. Crontab starts `schedule:run`
once a minute: what it does not need is not imported."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.errors import ConfigError

if TYPE_CHECKING:
    from tabur.app import Tabur
    from tabur.scheduler.loop import Scheduler

#: Seconds for which `schedule:run` waits at its end for alerts that are being told.
_WATCHING = 45.0


@click.command("schedule:work", cls=Command)
@click.option("--whisper", is_flag=True, help="Say only what starts or goes wrong.")
@click.option("--beside", is_flag=True, hidden=True, help="End when standard input ends.")
@click.pass_obj
def work(session: Session, whisper: bool, beside: bool) -> None:
    """Watch the schedules until stopped, and dispatch what is due to the second.

    Any number may run at once, on any hosts: each tick is dispatched once. Jobs run in workers
    (tabur queue:work; with --schedule it starts this beside itself).
    """
    app = _app(session)
    scheduler = app.scheduler(say=_say, chores=app.chores())
    _obey(scheduler)
    if beside:
        threading.Thread(target=_watch_input, args=(scheduler,), daemon=True).start()
    if not whisper:
        _say("Watching the schedules.")
    try:
        scheduler.run()
    finally:
        app.close()
    if not whisper:
        _say("Stopped.")


@click.command("schedule:run", cls=Command)
@click.option("--whisper", is_flag=True, help="Say nothing where nothing is due.")
@click.pass_obj
def run(session: Session, whisper: bool) -> None:
    """Dispatch what is due in this minute. For crontab:

    * * * * * cd /srv/shop && tabur schedule:run >> /dev/null 2>&1

    Where something is due more often than once a minute, it stays until the minute is over.
    """
    app = _app(session)
    scheduler = app.scheduler(say=_say)
    _obey(scheduler)
    watching = _watch_beside(app)
    try:
        dispatched = scheduler.run_minute()
        if watching is not None:
            watching.join(_WATCHING)
    finally:
        app.close()
    if not dispatched and not whisper:
        _say("No scheduled commands are ready to run.")


@click.command("schedule:interrupt", cls=Command)
@click.pass_obj
def interrupt(session: Session) -> None:
    """Let every scheduler that runs now end, so that it is started again with new code.

    Under queue:work --schedule, systemd and Supervisor it is; so use it after a deployment.
    """
    from tabur.cli.printing import info
    from tabur.scheduler.beats import Interrupts

    for driver in open_app(session).drivers:
        Interrupts(driver).say()
    info("Broadcasting schedule interrupt signal.")


def _app(session: Session) -> Tabur:
    """Raises ConfigError where no worker could see what a scheduler dispatches."""
    app = open_app(session)
    if "memory" in app.connections:
        raise ConfigError(
            "QUEUE_CONNECTION=memory keeps jobs in the process that dispatches them, where no "
            "worker can see them. Set QUEUE_CONNECTION=database."
        )
    return app


def _watch_beside(app: Tabur) -> threading.Thread | None:
    """Look for alerts once, in a thread of its own, so that no tick waits for it."""
    if not app.has_alerts:
        return None
    from tabur.alerts.chore import alert_chore

    thread = threading.Thread(target=alert_chore(app), name="tabur-alerts", daemon=True)
    thread.start()
    return thread


def _obey(scheduler: Scheduler) -> None:
    """Let signals reach the scheduler, those that this system knows."""

    def stop(number: int, frame: Any) -> None:
        scheduler.stop()

    names = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGBREAK"]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        names.append("SIGHUP")
    for name in names:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)


def _watch_input(scheduler: Scheduler) -> None:
    with suppress(OSError):
        while os.read(0, 4096):  # by no buffer: its lock would be missed when the process ends
            pass
    scheduler.stop()  # who started it is gone


def _say(text: str) -> None:
    moment = datetime.now().strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ005  # the reader's clock
    with suppress(OSError):  # the terminal is gone
        click.echo(f"  {moment} {text}")
