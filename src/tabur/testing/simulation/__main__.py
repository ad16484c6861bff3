"""`python -m tabur.testing.simulation`: many seeds, or the story of one."""

from __future__ import annotations

import sys
import time

import click
import msgspec

from tabur.testing.simulation.simulator import Simulator


@click.command(name="simulation")
@click.option("--seed", type=int, help="Run this one alone.")
@click.option("--trace", is_flag=True, help="Print what happens, with --seed.")
@click.option("--seeds", default=200, show_default=True, help="Run so many.")
@click.option("--first", default=1, show_default=True, help="Begin with this one.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each.")
def main(
    seed: int | None,
    trace: bool,  # noqa: FBT001  # as click gives it
    seeds: int,
    first: int,
    as_json: bool,  # noqa: FBT001  # as click gives it
) -> None:
    """Let fleets of workers live through what each seed has in store for them."""
    simulator, began = Simulator(), time.perf_counter()
    if seed is not None:
        first, seeds = seed, 1
    broken = 0
    for each in range(first, first + seeds):
        history = simulator.run(each)
        if trace and seed is not None:
            click.echo("\n".join(history.lines))
        broken += history.broken is not None
        if as_json:
            click.echo(msgspec.json.encode(history.summary))
        elif history.broken is not None:
            click.echo(f"seed {each}: {history.broken}")
    if as_json:
        sys.exit(broken > 0)
    took = time.perf_counter() - began
    click.echo(f"{seeds} seeds, {broken} broken, {took:.1f} s ({seeds / took:.0f} a second)")
    if broken and not trace:
        click.echo("The story of one: --seed N --trace")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
