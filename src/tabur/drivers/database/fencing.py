"""Jobs that settle in their own transactions: the fence, on a caller's connection."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from tabur.drivers.database.bonds import Counts
from tabur.drivers.database.callers import moves_of_callers
from tabur.drivers.database.rows import Rows
from tabur.drivers.database.schema import outcomes
from tabur.drivers.database.statements import literal
from tabur.drivers.database.store import Store, Transaction
from tabur.errors import ConfigError
from tabur.model.outcome import Ending, Transition

P = bindparam


class DatabaseFencing:
    """The same moves as a worker's settle, by the client of the caller's engine."""

    def __init__(self, store: Store, rows: Rows) -> None:
        self._store = store
        self._rows = rows
        self._callers, self._following = moves_of_callers(store)
        self._settled = store.prepare(
            select(outcomes.c.seq).where(
                outcomes.c.id == P("job"),
                outcomes.c.token == P("held"),
                outcomes.c.ending == literal(Ending.COMPLETED),
            ),
            "job",
            "held",
        )

    def begin_in(self, connection: Connection) -> None:
        self._check(connection)
        self._store.begin_in(connection)

    def settle_in(self, connection: Connection, move: Transition) -> bool:
        self._check(connection)
        self._following.lock_keys(connection, [move])
        # It waits for a rescue that has begun, and keeps one that begins from now on waiting.
        match self._callers.delete_ready.run(connection, move.id, move.token):
            case 1:
                if self._apply(connection, move):
                    self._store.wake_on_commit(connection)
                return True
            case 0:
                return False
            case other:
                raise ConfigError(
                    f"The client {connection.dialect.driver} does not tell how many rows a DELETE "
                    f"has removed (it said {other}), and the fence rests on that: use another."
                )

    def _apply(self, connection: Connection, move: Transition) -> bool:
        follows = move.follow_ups or move.bonds is not None
        now = self._store.now() if follows else move.ended_at
        cancelled: list[bytes] = []
        counts = Counts()
        woken = self._callers.apply(connection, move, now, cancelled)
        woken |= self._following.settled(connection, [move], now, counts)
        woken |= self._following.cancelled(connection, cancelled, now, counts)
        return self._following.count(connection, counts, now) or woken

    def checkpoint_in(
        self, connection: Connection, job_id: bytes, token: bytes, cursor: bytes
    ) -> bool:
        self._check(connection)
        self._store.begin_in(connection)
        if self._callers.marked.one(connection, job_id, token) is None:
            return False
        self._callers.replace_cursor.run(connection, job_id, cursor)
        return True

    def is_settled(self, job_id: bytes, token: bytes) -> bool:
        def look(tx: Transaction) -> bool:
            # Locks the claim, and so waits for whoever is about to delete it.
            if self._rows.marked.one(tx.cursor, job_id, token) is not None:
                return False
            return self._settled.one(tx.cursor, job_id, token) is not None

        return self._store.transact(look)

    def _check(self, connection: Connection) -> None:
        if not self._store.is_same(connection):
            url = connection.engine.url.render_as_string(hide_password=True)
            raise ConfigError(
                f"The session is on {url}, and the queue is in {self._store}. A transaction cannot "
                "span both: point DATABASE_URL at the same database, or give a factory of sessions "
                "on the queue's (jobs.use_sessions)."
            )
