"""What one seed is about: how many hosts and jobs, which options, and which faults how often.

Each seed leaves some kinds of faults out and lets others be frequent: a fault that is always there
hides those that only matter without it.
"""

from __future__ import annotations

from random import Random

import msgspec

from tabur.worker.options import WorkOptions


class Plan(msgspec.Struct, frozen=True):
    """Spans in seconds, shares of 1."""

    hosts: int
    jobs: int
    trouble: float
    """How long there are faults; then there are none, and all must come to its end."""
    options: WorkOptions
    wakes: float
    """The share of changes that an idle worker hears of."""

    # each call of the store
    refused: float
    """The share that is not done, and told to have failed."""
    unanswered: float
    """Done, and told to have failed."""
    slow: float
    """Done late, and answered later."""
    slowness: float
    late: float
    """Told to have failed, and done afterwards all the same."""
    hung: float
    """Of calls by children: done, and their answer waited for without end."""

    spite: int
    """How often in all something happens just when it hurts most."""

    # how often in all
    stops: int
    """A host stands still for a while, as by SIGSTOP."""
    child_stops: int
    supervisor_stops: int
    crashes: int
    """A host is gone, and comes back."""
    child_crashes: int
    supervisor_crashes: int
    cuts: int
    """A host cannot reach the store for a while."""
    stalls: int
    """The store answers nobody for a while."""
    restarts: int
    terminations: int
    """A supervisor is told to stop, as a deployment does, and started again."""
    pauses: int
    calls_back: int
    retries: int
    jumps: int
    """A host's wall clock is set."""
    skew: float
    """How far the hosts' wall clocks are apart."""

    # what jobs do
    wild: float
    """The share of attempts that do something else than complete."""
    newer: float
    """The share of jobs that only hosts with new code know."""
    seconds: float
    """How long an attempt takes on average."""
    long: float
    """The share of attempts that take longer than it takes to be found lost."""
    priorities: bool


def planned(seed: int) -> Plan:
    chance = Random(f"{seed} plan")

    def sometimes(most: int, odds: float = 0.4) -> int:
        return chance.randint(1, most) if chance.random() < odds else 0

    def share(most: float, odds: float = 0.4) -> float:
        return chance.uniform(0.0, most) if chance.random() < odds else 0.0

    hosts, long = chance.choice([1, 2, 2, 3]), chance.choice([0.0, 0.0, 0.5])
    return Plan(
        hosts=hosts,
        jobs=chance.randint(3, 40),
        trouble=chance.uniform(10.0, 60.0),
        options=_options(chance, hosts, long=long),
        wakes=chance.choice([0.0, 0.5, 0.95]),
        refused=share(0.3),
        unanswered=share(0.3),
        slow=share(0.6),
        slowness=chance.choice([0.1, 4.0, 8.0]),
        late=share(0.3),
        hung=share(0.05, 0.2),
        spite=sometimes(3, 0.3),
        stops=sometimes(3),
        child_stops=sometimes(2, 0.2),
        supervisor_stops=sometimes(2, 0.2),
        crashes=sometimes(2),
        child_crashes=sometimes(4),
        supervisor_crashes=sometimes(2, 0.25),
        cuts=sometimes(3),
        stalls=sometimes(1, 0.3),
        restarts=sometimes(3, 0.3),
        terminations=sometimes(3, 0.3),
        pauses=sometimes(2, 0.3),
        calls_back=sometimes(4, 0.3),
        retries=sometimes(4, 0.3),
        jumps=sometimes(2, 0.3),
        skew=chance.choice([0.0, 3600.0]),
        wild=chance.choice([0.0, 0.3, 0.6]),
        newer=chance.choice([0.0, 0.0, 0.2]),
        long=long,
        seconds=chance.choice([0.5, 2.0, 6.0]),
        priorities=chance.random() < 0.3,
    )


def _options(chance: Random, hosts: int, *, long: float) -> WorkOptions:
    return WorkOptions(
        queues=chance.choice([("a",), ("a", "b"), ("b", "a")]),
        processes=chance.choice([1, 1, 2] if hosts > 1 else [1, 2, 3]),
        async_slots=chance.randint(1, 4),
        thread_slots=chance.randint(1, 3),
        process_slots=chance.randint(1, 2),
        timeout=90.0 if long else chance.choice([8.0, 20.0]),
        sleep=chance.choice([1.0, 3.0, 6.0]),
        grace=chance.choice([1.0, 4.0, 12.0]),
        unknown_for=600.0,
        max_jobs=chance.choice([0, 0, 0, 5]),
        max_time=chance.choice([0.0, 0.0, 0.0, 60.0]),
        output="quiet",
    )
