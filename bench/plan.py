"""How much is measured. The whole of it, without `sustained`, takes about half an hour."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of one run of the bench."""

    repetitions: int = 3
    share: float = 1.0
    """Of the jobs that a contestant's own entry names."""
    dispatched: int = 5_000
    """One by one, each with a commit of its own; more where that many take no time."""
    dispatched_seconds: float = 1.5
    drains: tuple[tuple[str, int, int, float], ...] = (
        ("async", 1, 200, 1.0),
        ("async", 2, 200, 0.5),
        ("async", 1, 10, 0.1),
        ("def", 1, 200, 0.1),
        ("batch", 1, 200, 0.34),
    )
    """Of Tabur: kind of job, processes, slots, share of its jobs."""
    rival_drains: tuple[int, ...] = (1, 2)
    """Processes."""
    picked_up: int = 80
    late_pick_ups: int = 6
    """After 11 to 13 seconds of idleness each: a polling worker has slowed down by then."""
    idle_seconds: float = 20.0
    rival_idle_seconds: float = 10.0
    """0: it is not looked at."""
    imports: int = 15
    standing: int = 1_000_000
    """Jobs that stand in the store while so many are claimed and settled:"""
    measured: int = 20_000
    minutes: float = 10.0
    """Of a sustained run."""
    backlog: int = 20_000


QUICK = Plan(
    repetitions=1,
    share=0.005,
    dispatched=200,
    dispatched_seconds=0.02,
    drains=(("async", 1, 200, 1.0), ("def", 1, 10, 0.5), ("batch", 1, 200, 1.0)),
    rival_drains=(1,),
    picked_up=10,
    late_pick_ups=0,
    idle_seconds=0.5,
    rival_idle_seconds=0,
    imports=2,
    standing=2_000,
    measured=2_000,
    minutes=0.1,
    backlog=2_000,
)
