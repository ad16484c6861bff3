"""The options of `queue:work --balance`: what they mean together, and the queues' own limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from tabur.cli.values import SECONDS
from tabur.errors import ConfigError
from tabur.model.scaling import TARGET, Limits
from tabur.worker.options import Balance

F = TypeVar("F", bound=Callable[..., Any])

MOST_PROCESSES = 10
_COUNT = click.IntRange(0, 256)
_RANGED = re.compile(r"(.+):(\d{1,3})-(\d{1,3})")
_OWN = ("min_processes", "max_processes", "target", "balance_cooldown", "balance_max_shift")


def balancing_options(command: F) -> F:
    """Adds the options to a command."""
    for option in reversed(
        (
            click.option(
                "--balance",
                type=click.Choice(["auto", "simple", "off"]),
                is_flag=False,
                flag_value="auto",
                default="off",
                help="Processes for each queue: as many as it needs; evenly many. [off]",
            ),
            click.option(
                "--min-processes", type=_COUNT, help="Balanced: at least, for each queue. [1]"
            ),
            click.option(
                "--max-processes",
                type=click.IntRange(1, 256),
                help=f"Balanced: at most, in all. [{MOST_PROCESSES}]",
            ),
            click.option(
                "--target",
                type=SECONDS,
                help=f"Balanced: work off what waits within so long. [{TARGET:g}]",
            ),
            click.option(
                "--balance-cooldown",
                type=SECONDS,
                help="Balanced: a process ends when fewer were enough for so long. [30]",
            ),
            click.option(
                "--balance-max-shift",
                type=_COUNT,
                help="Balanced: start so many at once for a queue. [no limit]",
            ),
        )
    ):
        command = option(command)
    return command


def check_together(given: Mapping[str, Any]) -> None:
    """Raises UsageError for options that contradict each other."""
    if given["balance"] == "auto":
        if given["processes"] is not None:
            raise click.UsageError(
                "--balance=auto finds out how many processes there are to be, between "
                "--min-processes (for each queue) and --max-processes (in all). Leave out "
                "--processes."
            )
        if given["stop_when_empty_for"] > 0:
            raise click.UsageError(
                "--stop-when-empty-for is for workers whose processes are a fixed number. With "
                "--balance=auto write --stop-when-empty, or let it go on with --min-processes=0."
            )
    else:
        for name in _OWN:
            if given[name] is not None:
                raise click.UsageError(
                    f"--{name.replace('_', '-')} is for --balance=auto. Without it --processes "
                    "says how many there are."
                )
    if given["balance"] != "off" and given["once"]:
        raise click.UsageError("--once runs one job, and --balance is for many. Leave one out.")


def balance(names: Sequence[str], given: Mapping[str, Any]) -> Balance:
    """What --balance=auto was asked for. `names`: of queues, with limits of their own where they
    say so: `high:2-8`. Raises ConfigError."""
    default = 1 if given["min_processes"] is None else given["min_processes"]
    own = {queue: (least, most) for queue, least, most in map(_ranged, names)}
    least = {queue: default if own[queue][0] is None else own[queue][0] for queue in own}
    total = given["max_processes"] or max(MOST_PROCESSES, sum(filter(None, least.values())))
    limits: dict[str, Limits] = {}
    for queue, (_, most) in own.items():
        try:
            limits[queue] = Limits(least[queue] or 0, min(total, most or total))
        except ConfigError as error:
            raise ConfigError(f"Queue {queue}: {error}") from None
    if sum(each.minimum for each in limits.values()) > total:
        raise ConfigError(
            f"{len(limits)} queues want {sum(each.minimum for each in limits.values())} processes "
            f"at least, and --max-processes={total} are all there may be. Lower --min-processes, "
            "or raise --max-processes."
        )
    if given["stop_when_empty"]:  # who is done is not started again
        limits = {queue: Limits(0, each.maximum) for queue, each in limits.items()}
    return Balance(
        limits,
        total=total,
        target=TARGET if given["target"] is None else given["target"],
        cooldown=30.0 if given["balance_cooldown"] is None else given["balance_cooldown"],
        max_shift=given["balance_max_shift"] or 0,
    )


def _ranged(name: str) -> tuple[str, int | None, int | None]:
    """`high:2-8` as a queue and its limits."""
    match = _RANGED.fullmatch(name)
    return (match[1], int(match[2]), int(match[3])) if match else (name, None, None)
