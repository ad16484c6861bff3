"""`alert:list`, `alert:check`, `alert:test`, `alert:mute`, `alert:unmute`."""

from __future__ import annotations

from datetime import timedelta

import click

from tabur.alerts.overview import (
    AlertShown,
    ChannelShown,
    MuteShown,
    RuleShown,
    mute,
    overview,
    shown,
    texts_of,
    try_out,
    unmute,
    unmute_all,
)
from tabur.alerts.watch import Watch
from tabur.cli.group import Command, Session
from tabur.cli.opening import open_app
from tabur.cli.printing import dotted, info, json, moment, table
from tabur.cli.values import SPAN

_RULE = "[RULE|all]"


@click.command("alert:list", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def list_alerts(session: Session, as_json: bool) -> None:
    """List the rules and how each stands, the alerts, the channels, and what is muted.

    It is as it was at the last look: tabur alert:check looks now.
    """
    app = open_app(session)
    seen = overview(app)
    if as_json:
        json(seen)
        return
    table(("Rule", "Of", "State", "Since", "Thresholds"), [_rule(each) for each in seen.rules])
    _show_alerts(seen.alerts)
    for each in seen.channels:
        _show_channel(each)
    for muted in seen.mutes:
        _show_mute(muted)
    if not app.has_alerts:
        info("Nothing is declared, so no scheduler looks: write jobs.alerts.…, or set ALERT_EMAIL.")
    elif not seen.channels:
        info("No channel is declared: alerts are told in the log alone.")


@click.command("alert:check", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def check(session: Session, as_json: bool) -> None:
    """Look at everything now, and tell what is to be told. The exit code is 1 when an alert fires
    that is not muted, or when a connection could not be looked at."""
    looked = Watch(open_app(session)).look(force=True)
    alerts = shown(looked.alerts, looked.muted)
    if as_json:
        json(
            {
                "firing": len(looked.firing),
                "alerts": alerts,
                "sent": {name: each.error for name, each in looked.sent.items()},
                "unread": looked.unread,
            }
        )
    else:
        _show_alerts(alerts)
        for name, sent in looked.sent.items():
            dotted(f"Channel {name}", sent.error or "sent", colour="red" if sent.error else "green")
        for name, why in looked.unread.items():
            dotted(f"Connection {name}", why, colour="red")
        firing = len(looked.firing)
        info(f"{firing} {'alert fires' if firing == 1 else 'alerts fire'}.")
    if looked.firing or looked.unread:
        raise SystemExit(1)


@click.command("alert:test", cls=Command)
@click.argument("channel", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def test(session: Session, channel: str | None, as_json: bool) -> None:
    """Send a test message by every channel, or by one, and show what came of it. The exit code is 1
    when one fails."""
    sent = try_out(open_app(session), channel)
    if as_json:
        json({name: each.error for name, each in sent.items()})
    else:
        for name, each in sorted(sent.items()):
            dotted(name, each.error or "sent", colour="red" if each.error else "green")
    if any(each.error for each in sent.values()):
        raise SystemExit(1)


@click.command("alert:mute", cls=Command)
@click.argument("rule", metavar=_RULE)
@click.option("--queue", metavar="NAME", help="Of this queue alone.")
@click.option("--for", "lasting", type=SPAN, help="It ends by itself: 90 (seconds), 30m, 2h, 1d.")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is shown with the mute.")
@click.pass_obj
def mute_rule(
    session: Session, rule: str, queue: str | None, lasting: timedelta | None, reason: str
) -> None:
    """Tell nobody that a rule fires, or any.

    What still fires at the end of the mute is told then. That something is over is told at once.
    """
    app = open_app(session)
    mute(app, rule, queue=queue, lasting=lasting, reason=reason)
    ends = f"for {lasting}" if lasting else "until it is ended"
    info(f"{_what(rule, queue)} is muted {ends}.")
    click.echo(f"  → tabur alert:unmute {rule}{f' --queue={queue}' if queue else ''}")


@click.command("alert:unmute", cls=Command)
@click.argument("rule", metavar=_RULE, required=False)
@click.option("--queue", metavar="NAME", help="Of this queue alone.")
@click.option("--every", is_flag=True, help="End every mute.")
@click.pass_obj
def unmute_rule(session: Session, rule: str | None, queue: str | None, every: bool) -> None:
    """End a mute. Windows that are declared stay."""
    app = open_app(session)
    if every == (rule is not None):
        raise click.UsageError("Which rule? Write backlog, or all as it was muted, or --every.")
    if rule is None:
        ended = unmute_all(app)
        info(f"{ended} {'mute has' if ended == 1 else 'mutes have'} ended.")
        return
    how = "is muted no more" if unmute(app, rule, queue=queue) else "was not muted"
    info(f"{_what(rule, queue)} {how}.")


def _what(rule: str, queue: str | None) -> str:
    what = "Every rule" if rule == "all" else f"[{rule}]"
    return f"{what} of queue {queue}" if queue else what


def _rule(rule: RuleShown) -> tuple[str, ...]:
    state = f"{rule.state} ({rule.alerts})" if rule.alerts > 1 else rule.state
    return rule.rule, rule.of, state, moment(rule.since), "; ".join(texts_of(rule.thresholds))


def _show_alerts(alerts: tuple[AlertShown, ...] | list[AlertShown]) -> None:
    for each in alerts:
        muted = ", muted" if each.muted else ""
        untold = f", not yet told by {', '.join(each.untold)}" if each.untold else ""
        colour = "red" if each.phase == "firing" and not each.muted else None
        state = f"{each.phase}{muted} since {moment(each.since)}{untold}"
        dotted(f"[{each.scope}] {each.what}", state, colour=colour)


def _show_channel(channel: ChannelShown) -> None:
    name = f"Channel {channel.name}"
    if channel.error is None:
        dotted(name, channel.kind)
    else:
        failing = f"fails since {moment(channel.failing_since)}: {channel.error}"
        dotted(name, failing, colour="red")


def _show_mute(mute: MuteShown) -> None:
    if mute.every is not None:
        when = f"{mute.every}{', now' if mute.holds else ''}"
    else:
        when = f"until {moment(mute.until)}" if mute.until else "until it is ended"
    dotted(f"Muted: {_what(mute.rule, mute.queue)}", f"{when}{mute.reason and f': {mute.reason}'}")
