"""What is asked. Each is a function that measures everybody on one store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.questions import depth, dispatch, drain, idle, importing, pickup, sustained
from bench.session import Session
from bench.stores import Store


@dataclass(frozen=True, kw_only=True)
class Question:
    measure: Callable[[Session, Store], None]
    once: bool = False
    """Not repeated: it takes long, or is a best of many."""
    stores: tuple[str, ...] = ("sqlite", "postgres", "mariadb", "redis")
    seconds: dict[str, float]
    """How long one repetition takes at full size, by store, on two cores."""
    asked: bool = True
    """Part of a run that names no question."""


QUESTIONS: dict[str, Question] = {
    "import": Question(
        measure=importing.measure, once=True, stores=("sqlite",), seconds={"sqlite": 5}
    ),
    "dispatch": Question(
        measure=dispatch.measure,
        seconds={"sqlite": 12, "postgres": 20, "mariadb": 10, "redis": 15},
    ),
    "drain": Question(
        measure=drain.measure,
        seconds={"sqlite": 40, "postgres": 100, "mariadb": 82, "redis": 85},
    ),
    "pickup": Question(
        measure=pickup.measure,
        seconds={"sqlite": 18, "postgres": 27, "mariadb": 36, "redis": 45},
    ),
    "idle": Question(
        measure=idle.measure,
        once=True,
        seconds={"sqlite": 52, "postgres": 76, "mariadb": 37, "redis": 100},
    ),
    "depth": Question(
        measure=depth.measure,
        once=True,
        seconds={"sqlite": 60, "postgres": 110, "mariadb": 150, "redis": 50},
    ),
    "sustained": Question(
        measure=sustained.measure,
        once=True,
        stores=("postgres", "mariadb", "redis", "sqlite"),
        seconds={"postgres": 620, "mariadb": 620, "redis": 620, "sqlite": 620},
        asked=False,
    ),
}
