"""Databases in which one queue is crowded and another is not: where bad plans show."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from sqlalchemy import Connection, create_engine, text

#: Pending, of which one in ten is urgent; few on another queue.
CROWDED, QUIET = "crowded", "quiet"
FEW = 5
#: Who holds how many claims, however many jobs wait.
BUSY_WORKER, CLAIMED = "w-busy", 200
#: One finished job in so many has failed.
FAILED = 100
#: When everything was made; scheduled jobs are due a day later, all at once.
MADE_AT = 1_750_000_000_000_000
DUE_AT = MADE_AT + 86_400_000_000

_READY = "id, queue, isolation, {rank}, attempts, exceptions, crashes"
_CLAIM = "token, worker, claimed_at"
_PLAIN = "'thread', 0, 0, 0, 0"


def fill(url: str, count: int) -> None:
    """`count` jobs each: pending, deleted, scheduled, finished; and some claimed. Then as many
    schedules; and batches, links and unique keys."""
    engine = create_engine(url)
    with engine.begin() as connection:
        words = _WORDS[engine.dialect.name]
        if engine.dialect.name == "sqlite":
            _count_up(connection, count)
        for statement in (
            *_statements(words, count),
            *_schedules(words, count),
            *_bonds(words, count),
        ):
            connection.execute(text(statement))
    engine.dispose()


def fill_schedules(url: str, count: int) -> None:
    """`count` schedules, few of which are due, and as many ticks."""
    engine = create_engine(url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            _count_up(connection, count)
        for statement in _schedules(_WORDS[engine.dialect.name], count):
            connection.execute(text(statement))
    engine.dispose()


def finished(n: int) -> bytes:
    """The id of the n-th finished job, from 1."""
    return bytes.fromhex(f"04{n:030x}")


#: The batch of all that has finished.
CROWDED_BATCH = bytes.fromhex("06" * 16)


def scheduled(n: int) -> bytes:
    return bytes.fromhex(f"03{n:030x}")


class _Words:
    """How an engine says what is needed here. `numbers`: a table of the numbers up to `{}`."""

    def __init__(
        self,
        *,
        an_id: str,
        a_name: str,
        numbers: str,
        n: str,
        rank: str = "rank",
        empty: str = "''",
        a_key: str = "x'{}'",
        key: str = "key",
    ) -> None:
        self.an_id, self.a_name = an_id, a_name
        self.numbers, self.n, self.rank = numbers, n, rank
        self.empty, self.a_key, self.key = empty, a_key, key


_WORDS = {
    "postgresql": _Words(
        an_id="decode('{}' || lpad(to_hex(n), 30, '0'), 'hex')",
        a_name="'{}' || lpad(n::text, 8, '0')",
        numbers="generate_series(1, {}) AS s(n)",
        n="n",
        a_key="decode('{}', 'hex')",
    ),
    "mysql": _Words(
        an_id="unhex(concat('{}', lpad(hex(seq), 30, '0')))",
        a_name="concat('{}', lpad(seq, 8, '0'))",
        numbers="seq_1_to_{}",
        n="seq",
        rank="`rank`",
        key="`key`",
    ),
    "sqlite": _Words(
        an_id="unhex_('{}' || printf('%030x', n))",
        a_name="printf('{}%08d', n)",
        numbers="(SELECT n FROM numbers LIMIT {})",
        n="n",
        empty="x''",
    ),
}


def _statements(words: _Words, count: int) -> Iterator[str]:
    n = words.n
    ready = _READY.format(rank=words.rank)
    pending, claimed, dead, waiting, ended = (words.an_id.format(f"0{kind}") for kind in range(5))
    few = words.an_id.format("05")
    of_many, of_some, of_few = (words.numbers.format(each) for each in (count, CLAIMED, FEW))
    urgent = f"CASE WHEN {n} % 10 = 0 THEN -5 ELSE 0 END"
    insert = f"INSERT INTO job_ready ({ready}) SELECT"

    yield f"{insert} {dead}, '{CROWDED}', {_PLAIN} FROM {of_many}"
    yield f"DELETE FROM job_ready WHERE queue = '{CROWDED}'"
    yield (f"{insert} {pending}, '{CROWDED}', 'thread', {urgent}, 0, 0, 0 FROM {of_many}")
    yield f"{insert} {few}, '{QUIET}', {_PLAIN} FROM {of_few}"
    yield (
        f"INSERT INTO job_ready ({ready}, {_CLAIM})"
        f" SELECT {claimed}, '{CROWDED}', {_PLAIN}, {claimed}, '{BUSY_WORKER}', {MADE_AT}"
        f" FROM {of_some}"
    )
    yield (
        f"INSERT INTO job_waiting ({ready}, due_at, blockers)"
        f" SELECT {waiting}, '{CROWDED}', {_PLAIN}, {DUE_AT}, 0 FROM {of_many}"
    )
    yield (
        "INSERT INTO job_outcomes (id, attempt, token, ending, worker, started_at, ended_at)"
        f" SELECT {ended}, 1, {ended},"
        f" CASE WHEN {n} % {FAILED} = 0 THEN 'failed' ELSE 'completed' END, 'w', {MADE_AT},"
        f" {MADE_AT} + {n} FROM {of_many}"
    )
    for an_id, queue, numbers in (
        (pending, CROWDED, of_many),
        (claimed, CROWDED, of_some),
        (waiting, CROWDED, of_many),
        (ended, CROWDED, of_many),
        (few, QUIET, of_few),
    ):
        yield (
            f"INSERT INTO job_records (id, name, queue, {words.rank}, isolation, payload, options,"
            f" created_at) SELECT {an_id}, 'send', '{queue}', 0, 'thread', {words.empty},"
            f" {words.empty}, {MADE_AT} FROM {numbers}"
        )


def _schedules(words: _Words, count: int) -> Iterator[str]:
    """Nearly all are due much later; of those whose time has come, most rest."""
    n = words.n
    many, few = words.numbers.format(count), words.numbers.format(FEW)
    for name, numbers, next_run_at, active in (
        ("s", many, f"{DUE_AT} + {n} * 1000", f"CASE WHEN {n} % 10 = 0 THEN 0 ELSE 1 END"),
        ("resting", many, f"{MADE_AT} - {n} * 1000", "0"),
        ("due", few, f"{MADE_AT} - {n}", "1"),
    ):
        yield (
            "INSERT INTO job_schedules (name, origin, definition, cron_expression, timezone,"
            " next_run_at, is_active, revision)"
            f" SELECT {words.a_name.format(name)}, 'table', {words.empty}, '* * * * *', 'UTC',"
            f" {next_run_at}, {active}, 1 FROM {numbers}"
        )
    for name, due_at in ((words.a_name.format("s"), f"{n}"), ("'busy'", f"{n} * 1000")):
        yield (
            "INSERT INTO job_ticks (schedule, due_at, decision, decided_at, reason, scheduler)"
            f" SELECT {name}, {due_at}, 'skipped', {MADE_AT}, 'busy', 's1' FROM {many}"
        )


def _bonds(words: _Words, count: int) -> Iterator[str]:
    """Batches that have finished, with those that waited for them; the jobs of the crowd are all of
    one batch more. And unique keys that nobody gives back."""
    n, many = words.n, words.numbers.format(count)
    batch, waits, ended, key = (words.an_id.format(f"0{kind}") for kind in (6, 3, 4, 7))
    yield (
        "INSERT INTO job_batches (id, name, total_jobs, pending_jobs, failed_jobs, cancelled_jobs,"
        " allow_failures, next_ids, catch_ids, finally_ids, options, created_at, finished_at)"
        f" SELECT {batch}, 'import', 1, 0, 0, 0, 0, {words.empty}, {words.empty}, {words.empty},"
        f" {words.empty}, {MADE_AT}, {MADE_AT} + {n} FROM {many}"
    )
    crowd = words.a_key.format(CROWDED_BATCH.hex())
    yield f"INSERT INTO job_members (batch, job) SELECT {crowd}, {ended} FROM {many}"
    yield f"INSERT INTO job_links (target, source) SELECT {waits}, {batch} FROM {many}"
    yield (
        f"INSERT INTO job_uniques ({words.key}, job, since, ends_at)"
        f" SELECT {key}, {ended}, {MADE_AT}, NULL FROM {many}"
    )


def _count_up(connection: Connection, count: int) -> None:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    raw.create_function("unhex_", 1, bytes.fromhex, deterministic=True)
    connection.execute(text("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)"))
    raw.executemany("INSERT INTO numbers VALUES (?)", ((n,) for n in range(1, count + 1)))
