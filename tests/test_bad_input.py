"""Ten thousand odd payloads and options, against dispatch and against a running worker.

None kills the worker or holds its neighbours back. Each is refused where it is made, or fails in
the store with a reason that a person understands, or is valid and comes out as it went in.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from tabur import ConfigError, JobContext, PayloadError, PendingJob, State, Tabur, TaburError
from tabur.drivers.contract import Filter
from tabur.model.codec import encode_result
from tabur.model.ids import new_id
from tabur.model.records import JobRecord, NewJob
from tabur.model.states import Isolation
from tests.worker.workshop import Workshop, make_workshop

SEED = 20261122
CASES = 10_000
MIB = 1024 * 1024

SOURCE = """
import sys
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
def typed(
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


ERRORS = {
    "nul": lambda: ValueError("a\\0b"),
    "surrogate": lambda: ValueError("a\\ud800b"),
    "huge": lambda: ValueError("x" * 20_000_000),
    "unprintable": Unprintable,
    "odd arguments": lambda: ValueError(b"\\xff", object(), 2**70),
    "group": lambda: ExceptionGroup("many", [ValueError("a\\0")] * 50),
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "base": lambda: type("Odd\\ud800Name", (BaseException,), {})("odd"),
    "stop": StopIteration,
    "memory": MemoryError,
}
RESULTS = {
    "nan": lambda: float("nan"),
    "surrogate": lambda: "\\ud800",
    "object": object,
    "huge": lambda: "x" * 1_000_000,
    "function": lambda: print,
    "set of odd things": lambda: {1, "a", (2, 3)},
    "generator": lambda: (n for n in range(3)),
    "keys": lambda: {(1, 2): 3, object(): 4},
}
PROGRESS = {
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
    raise ERRORS[how]()


@jobs.job()
async def raises_lightly(how: str) -> None:
    if how == "recursion":
        endless()
    raise ERRORS[how]()


@jobs.job()
def returns(what: str) -> Any:
    return RESULTS[what]()


@jobs.job()
def reports(ctx: JobContext, what: str) -> str:
    if what == "message":
        ctx.progress(1, 2, message="\\ud800\\0" * 1000, unit="\\udfff" * 100)
        ctx.warn("\\ud800\\0")
    elif what == "attachment":
        ctx.attach(b"x", name="../../\\0\\ud800/" + "n" * 300, media_type="\\ud800" * 50)
    else:
        ctx.progress(*PROGRESS[what])
    return "done"
"""


class Colour(Enum):
    RED = "red"


TEXTS = (
    "",
    "a\0b",
    "\0",
    "\ud800",
    "x\udfffy",
    "\u202eright to left\u202c",
    "طابور المنتجات",
    "🛒" * 50,
    "' OR 1=1; --",
    "{{ 7*7 }}",
    "<script>alert(1)</script>",
    "%s %d {}",
    "\\u0000",
    "\ufeff",
    "\r\n\t",
    "e\u0301",
    "NaN",
    "null",
    "x" * 3000,
)
NUMBERS = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, -(2**63) - 1, 2**64, 10**30)
REALS = (0.0, -0.0, 0.1, 1e308, 5e-324, float("nan"), float("inf"), float("-inf"))


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def _endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


LEAVES: tuple[Callable[[Random], Any], ...] = (
    lambda rng: rng.choice(TEXTS),
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(REALS),
    lambda rng: rng.choice((None, True, False)),
    lambda rng: rng.randbytes(rng.randrange(40)),
    lambda rng: rng.choice((Decimal("NaN"), Decimal("Infinity"), Decimal("1E+400"), Decimal(0))),
    lambda rng: uuid.UUID(bytes=rng.randbytes(16)),
    lambda rng: datetime(rng.randrange(1, 9999), 1, 1, tzinfo=rng.choice((None, UTC))),
    lambda rng: datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=rng.randrange(80_000)))),
    lambda rng: date.min + timedelta(days=rng.randrange(3_000_000)),
    lambda rng: rng.choice((timedelta.min, timedelta.max, timedelta(microseconds=1))),
    lambda rng: Path(rng.choice(("", "/", "..", "a\0b", "x" * 500))),
    lambda rng: rng.choice(
        (Colour.RED, Colour, object(), print, lambda: 1, 1j, ..., NotImplemented)
    ),
    lambda rng: rng.choice(
        (bytearray(b"x"), memoryview(b"x"), range(3), iter([1]), re.compile("x"))
    ),
    lambda rng: rng.choice((ValueError("x"), Tabur, uuid, frozenset({1}), {1, 2}, Random(1))),
)


def odd_value(rng: Random, depth: int = 0) -> Any:
    kind = rng.random()
    if depth < 4 and kind < 0.15:
        return [odd_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 4 and kind < 0.30:
        keys: list[Any] = [
            rng.choice([*TEXTS[:8], *NUMBERS[:3], None, 1.5, (1, 2), b"k", float("nan")])
        ]
        return {key: odd_value(rng, depth + 1) for key in keys}
    if depth < 4 and kind < 0.35:
        return tuple(odd_value(rng, depth + 1) for _ in range(2))
    return rng.choice(LEAVES)(rng)


#: The repr of the second is an error itself.
HUGE = (10**400, 10**5000)
NAN, INF = float("nan"), float("inf")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
OPTIONS: dict[str, tuple[Any, ...]] = {
    "delay": (-1, NAN, INF, 1e300, *HUGE, "5", True, b"", [], timedelta(-1), timedelta.max),
    "at": ("now", 5, NAIVE, date(2026, 1, 1), True, 1e9, *HUGE),
    "priority": (10**30, -(10**30), 1.5, "high", True, NAN, [], *HUGE),
    "tries": (10**30, -1, 1.5, "3", True, NAN, [3], *HUGE),
    "backoff": (
        *([], "", "30", [-1], [[1]], NAN, INF, {}, {1: 2}, object(), True, b"x", -0.1),
        *(*HUGE, [*HUGE], [30, None], "x" * 5000),
    ),
    "timeout": (0, -1, NAN, INF, "60", True, *HUGE, [], 1e300),
    "retry_until": (-1, NAN, "tomorrow", NAIVE, timedelta(-1), *HUGE, True, []),
    "expires": (-1, NAN, "tomorrow", NAIVE, timedelta.max, *HUGE, True, []),
    "queue": (
        *("", "a\0b", "q" * 5000, "a,b", "\ud800", "a\nb", 5, b"q", True, [], "\u202e", "\x7f"),
        *HUGE,
    ),
    "tenant": ("", "a\0b", "t" * 5000, 7, b"t", "\ud800", [], True, *HUGE),
    "user": ("", "a\0b", "u" * 5000, 7, b"u", "\ud800"),
    "locale": ("", "a\0b", "l" * 5000, 7, "\ud800"),
    "idempotency_key": ("", "a\0b", "k" * 5000, 7, b"k", "\ud800"),
    "after_commit": (True,),
    "session": ("session", 5, object()),
    "quue": ("high",),
    "dealy": (5,),
}
DECLARED: dict[str, tuple[Any, ...]] = {
    **{
        name: OPTIONS[name] for name in ("priority", "tries", "backoff", "timeout", "queue", "quue")
    },
    "name": ("", "a\0b", "n" * 5000, 7, "\ud800", True),
    "max_exceptions": (0, -1, 1.5, "3", True, HUGE[1]),
    "retry_until": (-1, NAN, "tomorrow", HUGE[1], timedelta(-1)),
    "expires": (-1, NAN, "tomorrow", HUGE[1], timedelta.max),
    "isolation": ("spaceship", "", 5, True, "loop"),
    "never_retry": (5, "ValueError", (ValueError("x"),), [int]),
    "aliases": (5, ("",), ("a\0",), (7,), "abc\0"),
}


#: Why a job may fail that was written into the store by somebody else.
REASONS = {"PayloadError", "UnknownJob", "JobExpired", "JobTimedOut"}


class Accepted:
    """What went into the store through the public names, and what has to come out."""

    def __init__(self) -> None:
        self.jobs: dict[bytes, PendingJob[Any]] = {}
        self.refused: Counter[str] = Counter()

    def dispatch(self, app: Tabur, pending: Iterable[PendingJob[Any]]) -> None:
        made = list(pending)
        for handle, each in zip(app.dispatch_many(made), made, strict=True):
            self.jobs[uuid.UUID(handle.id).bytes] = each

    def make(self, make: Callable[[], PendingJob[Any]]) -> list[PendingJob[Any]]:
        """The pending job, or nothing where it was refused, which must be by a clear error."""
        try:
            return [make()]
        except (PayloadError, ConfigError) as error:
            self.refused[type(error).__name__] += 1
            assert_readable(str(error))
            return []


def assert_readable(message: str) -> None:
    """Says something, at a length that a person reads, in characters that every log can carry."""
    assert 10 <= len(message) <= 1_000, message[:2_000]
    assert "Traceback" not in message
    message.encode()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workshop]:
    made = make_workshop(tmp_path, SOURCE, monkeypatch)
    try:
        made.load()
        yield made
    finally:
        made.close()


def test_absurd_options_are_refused_by_name() -> None:
    app = Tabur(connection="memory")

    @app.job()
    def work() -> None: ...

    for option, values in OPTIONS.items():
        for value in values:
            with pytest.raises((ConfigError, PayloadError)) as refused:
                work.options(**{option: value}).dispatch()
            assert option in str(refused.value), (option, value)
            assert_readable(str(refused.value))
    assert app.driver.inspection.count(Filter(), at_most=10) == 0


def test_absurd_declarations_are_refused_by_name() -> None:
    app = Tabur(connection="memory")

    def work() -> None: ...

    for option, values in DECLARED.items():
        for value in values:
            with pytest.raises(ConfigError) as refused:
                app.job(**{option: value})(work)
            shown = str(refused.value)
            assert option.removesuffix("es") in shown or "plain def" in shown, (option, value)
            assert_readable(shown)


def test_a_hundred_mebibytes_are_refused_where_they_are_made(shop: Workshop) -> None:
    with pytest.raises(PayloadError, match=r"104,857,6\d\d bytes, and 1,048,576 are allowed"):
        shop.module.echo.dispatch(value="x" * (100 * MIB))
    assert shop.jobs.driver.inspection.count(Filter(), at_most=1) == 0


def test_ten_thousand_odd_jobs_and_their_neighbours(shop: Workshop) -> None:
    rng = Random(SEED)
    app, accepted, cases = shop.jobs, Accepted(), 0
    neighbours: dict[bytes, int] = {}
    stored: dict[bytes, str] = {}
    for batch in range(CASES // 200):
        pending = [
            each
            for _ in range(100)
            for each in accepted.make(lambda: odd_pending(rng, shop.module))
        ]
        accepted.dispatch(app, pending)
        tampered = [tampered_job(rng) for _ in range(100)]
        app.driver.dispatching.dispatch([job for job, _ in tampered])
        stored |= {job.id: what for job, what in tampered}
        cases += 200
        kind = (shop.module.neighbour, shop.module.light_neighbour)[batch % 2]
        handles = app.dispatch_many([kind(n=n) for n in range(10)])
        neighbours |= {uuid.UUID(each.id).bytes: n for n, each in enumerate(handles)}
    runs = odd_runs(shop.module)
    accepted_runs = app.dispatch_many(runs)
    stored |= {job.id: "huge" for job in huge_jobs(app)}
    cases += len(runs)
    assert cases >= CASES

    worker = shop.worker("--stop-when-empty", "--processes=2", "--concurrency=20")
    worker.ended()

    assert "Traceback" not in worker.output.replace("failed() of", "")
    records = {each.id: each for each in app.driver.inspection.list(Filter(), limit=50_000)}
    assert len(records) == len(accepted.jobs) + len(stored) + len(neighbours) + len(runs)
    for record in records.values():
        # one that was told to wait for 1e308 seconds does; all others have come to their end
        patient = record.state is State.SCHEDULED and b"backoff" in record.options
        assert record.state in {State.COMPLETED, State.FAILED} or patient
    for job_id, n in neighbours.items():
        record = records[job_id]
        assert (record.state, record.result) == (State.COMPLETED, str(n * 2).encode())
        assert (record.attempts, record.crashes) == (1, 0)
    for job_id, each in accepted.jobs.items():
        assert_came_out(app, records[job_id], each)
    for job_id, what in stored.items():
        assert_reason(records[job_id], what)
        if records[job_id].name != "fails" and (error := records[job_id].error) is not None:
            assert error.type in REASONS, (error, what)
    for handle, run in zip(accepted_runs, runs, strict=True):
        assert_reason(records[uuid.UUID(handle.id).bytes], repr(run))
    # the generator is worth its name: much of each kind
    assert accepted.refused["PayloadError"] > 1000
    assert len(accepted.jobs) > 1000
    failed = [each for each in records.values() if each.state is State.FAILED]
    assert len(failed) > 3000


def odd_pending(rng: Random, module: Any) -> PendingJob[Any]:
    """A job of odd arguments, made by the public names; most are refused."""
    kind = rng.random()
    if kind < 0.7:
        return module.echo(value=odd_value(rng))  # type: ignore[no-any-return]
    if kind < 0.8:
        names = ("n", "text", "price", "when", "unit", "path", "owner", "extra", "n\0")
        return module.typed(**{rng.choice(names): odd_value(rng) for _ in range(3)})  # type: ignore[no-any-return]
    if kind < 0.83:
        return module.echo(value=rng.choice((_deep(10_000), _deep(900), _endless())))  # type: ignore[no-any-return]
    option = rng.choice(list(OPTIONS))
    options = {option: rng.choice(OPTIONS[option])}
    made: PendingJob[Any] = module.echo(value="ok").options(**options)
    if option in {"session", "after_commit"}:
        made.dispatch()
        raise AssertionError(f"{options} was accepted")
    return made


def tampered_job(rng: Random) -> tuple[NewJob, str]:
    """A job as somebody else might have written it into the store: bytes that are no JSON, fields
    renamed, missing or too many, names of nothing, options out of every bound."""
    name = rng.choice(("echo", "typed", "Hooked", "fails"))
    payload = rng.choice(
        (b'{"value":[1,2]}', b'{"n":7}', b'{"n":7,"text":"a"}', b'{"n":"7"}', b"{}", b'{"N":7}')
    )
    options = b""
    what = rng.randrange(5)
    if what == 0:
        payload = damaged(rng, payload)
    elif what == 1:
        name = rng.choice(("nosuch", "ECHO", "echo ", "os.system", "../../echo", "🛒", "a" * 200))
    elif what == 2:
        name = rng.choice(("echo", "typed"))  # a failing one might be told to try for ever
        options = damaged(rng, b'{"tries":3,"backoff":5,"timeout":9}')
    elif what == 3:
        option = rng.choice(("tries", "backoff", "timeout", "retry_until", "expires", "x"))
        name = "fails" if option == "backoff" else rng.choice(("echo", "typed"))
        value = rng.choice((-1, 0, 10**30, 1e308, -1e308, "3", None, [], [1e308], {"type": "x"}))
        options = msgspec.json.encode({option: value})
    else:
        payload = rng.choice(
            (
                b'{"value":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
                b'{"n":9223372036854775809}',
                b'{"n":1e400}',
                b'{"n":NaN}',
                b'{"value":"\\ud800"}',
                b'{"value":"\\u0000"}',
                b'{"n":1,"n":2}',
                b"\xef\xbb\xbf{}",
                rng.randbytes(rng.randrange(60)),
                b"[" * 200_000,
            )
        )
    job = NewJob(
        id=new_id(),
        name=name,
        queue="default",
        isolation=Isolation.THREAD,
        payload=payload,
        created_at=0,
        options=options,
    )
    return job, f"{name} {payload[:60]!r} {options!r}"


def damaged(rng: Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(3):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                del changed[at:]
            case _:
                changed[at:at] = rng.randbytes(rng.randrange(4))
    return bytes(changed)


def odd_runs(module: Any) -> list[PendingJob[Any]]:
    """Jobs whose arguments are fine, and whose runs are not."""
    ways = [*module.ERRORS, "recursion"]
    return [
        *(module.raises(how=how) for how in ways),
        *(module.raises_lightly(how=how) for how in ways),
        *(module.returns(what=what) for what in module.RESULTS),
        *(module.reports(what=what) for what in [*module.PROGRESS, "message", "attachment"]),
    ]


def huge_jobs(app: Tabur) -> list[NewJob]:
    """A hundred mebibytes, put right into the store."""
    job = NewJob(
        id=new_id(),
        name="echo",
        queue="default",
        isolation=Isolation.THREAD,
        payload=b'{"value":"' + b"x" * (100 * MIB) + b'"}',
        created_at=0,
    )
    app.driver.dispatching.dispatch([job])
    return [job]


def assert_came_out(app: Tabur, record: JobRecord, pending: PendingJob[Any]) -> None:
    """What was accepted is kept byte for byte, and its job saw what its dispatcher was shown."""
    found = app.driver.inspection.find(record.id)
    assert found is not None
    assert found.payload == pending.payload
    if pending.name != "echo":
        return
    assert record.state is State.COMPLETED, record.error
    assert record.result == encode_result(pending.args.value)


def assert_reason(record: JobRecord, what: str) -> None:
    assert record.crashes == 0, what
    if record.state is State.COMPLETED:
        return
    assert record.error is not None, what
    assert re.fullmatch(r"[A-Za-z_][\w.<>\\]*", record.error.type), (record.error.type, what)
    assert 1 <= len(record.error.message) <= 2_000, (record.error.message, what)
    assert "Traceback" not in record.error.message, what


def test_rows_written_by_hand_do_not_stop_a_worker(shop: Workshop) -> None:
    """Somebody edited the tables: types and texts that Tabur never writes."""
    handles = [shop.module.echo.dispatch(value=n) for n in range(12)]
    neighbours = [shop.module.neighbour.dispatch(n=n) for n in range(5)]
    ids = [uuid.UUID(handle.id).bytes for handle in handles]
    edits = (
        "UPDATE job_records SET payload = CAST(x'7b2276616c7565223aff7d' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET payload = 7 WHERE id = ?",
        "UPDATE job_records SET payload = '{\"value\": 5}' WHERE id = ?",
        "UPDATE job_records SET name = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET name = 7 WHERE id = ?",
        "UPDATE job_records SET options = 7 WHERE id = ?",
        "UPDATE job_records SET options = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET tenant = CAST(x'ff' AS TEXT) WHERE id = ?",
        "UPDATE job_records SET isolation = 'spaceship' WHERE id = ?",
        "UPDATE job_ready SET attempts = -5 WHERE id = ?",
        "UPDATE job_ready SET crashes = 99 WHERE id = ?",
        "UPDATE job_ready SET worker = 7 WHERE id = ?",
    )
    file = sqlite3.connect(shop.folder / "jobs.sqlite3")
    with file:
        for job_id, edit in zip(ids, edits, strict=True):
            file.execute(edit, (job_id,))
    file.close()
    shop.work()
    assert [each.result() for each in neighbours] == [0, 2, 4, 6, 8]
    unfinished = (State.PENDING, State.PROCESSING, State.SCHEDULED)
    for handle, edit in zip(handles, edits, strict=True):
        assert handle.status().state not in unfinished, edit


def test_the_hook_of_a_bad_job_is_not_needed_for_its_end(shop: Workshop) -> None:
    job = NewJob(
        id=new_id(),
        name="Hooked",
        queue="default",
        isolation=Isolation.THREAD,
        payload=b'{"n":"seven"}',
        created_at=0,
    )
    shop.jobs.driver.dispatching.dispatch([job])
    shop.work()
    record = shop.jobs.driver.inspection.find(job.id)
    assert record is not None
    assert record.error is not None
    assert record.error.message == "Hooked: Expected `int`, got `str` - at `$.n`"


def test_a_context_refuses_what_no_page_could_show() -> None:
    app = Tabur(connection="sync")
    seen: list[Any] = []

    @app.job()
    def work(ctx: JobContext) -> None:
        for make in (lambda: ctx.progress("x"), lambda: ctx.attach(b"x")):  # type: ignore[arg-type]
            try:
                make()
            except (TypeError, ValueError, TaburError) as error:
                seen.append(error)

    work.dispatch()
    assert len(seen) == 2
