"""The jobs that bad input is meant for, and such as end in odd ways."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from tabur import Job, JobContext, Tabur

jobs = Tabur.from_env()


class Unit(Enum):
    PIECE = "piece"


@jobs.job()
def neighbour(n: int) -> int:
    return n * 2


@jobs.job()
async def light_neighbour(n: int) -> int:
    return n * 2


@jobs.job()
def echo(value: Any = None) -> Any:
    return value


@jobs.job(tries=3)
def typed(  # noqa: PLR0917  # as many kinds of arguments as there are
    n: int,
    text: str = "",
    price: Decimal = Decimal(0),
    when: datetime | None = None,
    unit: Unit = Unit.PIECE,
    path: Path | None = None,
    owner: UUID | None = None,
) -> list[Any]:
    return [n, text]


@jobs.job(tries=2)
def fails() -> None:
    raise ValueError("as always")


@jobs.register
class Hooked(Job[int]):
    n: int

    def handle(self, ctx: JobContext) -> int:
        return self.n

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        raise RuntimeError("a hook that fails, too")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def endless(n: int = 0) -> int:
    return endless(n + 1) + 1


ERRORS: dict[str, Callable[[], BaseException]] = {
    "nul": lambda: ValueError("a\0b"),
    "surrogate": lambda: ValueError("a\ud800b"),
    "huge": lambda: ValueError("x" * 20_000_000),
    "unprintable": Unprintable,
    "odd arguments": lambda: ValueError(b"\xff", object(), 2**70),
    "group": lambda: ExceptionGroup("many", [ValueError("a\0")] * 50),
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "base": lambda: type("Odd\ud800Name", (BaseException,), {})("odd"),
    "stop": StopIteration,
    "memory": MemoryError,
}
RESULTS: dict[str, Callable[[], Any]] = {
    "nan": lambda: float("nan"),
    "surrogate": lambda: "\ud800",
    "object": object,
    "huge": lambda: "x" * 1_000_000,
    "function": lambda: print,
    "set of odd things": lambda: {1, "a", (2, 3)},
    "generator": lambda: (n for n in range(3)),
    "keys": lambda: {(1, 2): 3, object(): 4},
}
PROGRESS: dict[str, tuple[Any, Any]] = {
    "huge": (2**70, 2**80),
    "negative": (-5, -5),
    "text": ("7", None),
    "float": (1e300, 2.5),
    "nan": (float("nan"), None),
}


@jobs.job()
def raises(how: str) -> None:
    if how == "recursion":
        endless()
    error = ERRORS[how]()
    raise error


@jobs.job()
async def raises_lightly(how: str) -> None:
    if how == "recursion":
        endless()
    error = ERRORS[how]()
    raise error


@jobs.job()
def returns(what: str) -> Any:
    return RESULTS[what]()


@jobs.job()
def reports(ctx: JobContext, what: str) -> str:
    if what == "message":
        ctx.progress(1, 2, message="\ud800\0" * 1000, unit="\udfff" * 100)
        ctx.warn("\ud800\0")
    elif what == "attachment":
        ctx.attach(b"x", name="../../\0\ud800/" + "n" * 300, media_type="\ud800" * 50)
    else:
        ctx.progress(*PROGRESS[what])
    return "done"
