"""Signals from people to all workers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, delete, insert, null, or_, select, union_all, update

from tabur.drivers.database.rows import names
from tabur.drivers.database.schema import pauses, signals
from tabur.drivers.database.statements import ONE, literal
from tabur.drivers.database.store import Store
from tabur.model.records import Hold, Pause, Signals

P = bindparam

#: The row of `job_pauses` that is the hold: no queue has this name.
_HOLD = ""


class DatabaseControl:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._sql = _Statements(store)

    def signals(self) -> Signals:
        now = self._store.now()
        counts: dict[str, int] = {}
        lasting: list[Pause] = []
        hold: Hold | None = None
        with self._store.read() as cursor:
            rows = self._sql.all.all(cursor, now)
        for name, value, queue, since, until, reason in rows:
            if name is not None:
                counts[name] = value
            elif queue == _HOLD:
                hold = Hold(since, reason)
            else:
                lasting.append(Pause(queue, since, until, reason))
        return Signals(now, counts["restart"], counts["moment"], tuple(lasting), hold)

    def restart(self) -> int:
        def restart(cursor: Any) -> int:
            self._sql.count_restart.run(cursor)
            return self._value(cursor, "restart")

        return self._store.transact(lambda tx: restart(tx.cursor))

    def pause(self, pause: Pause) -> None:
        now = self._store.now()

        def put(cursor: Any) -> None:
            self._sql.forget_over.run(cursor, now)
            # Not deleted and inserted: of two who pause it at once one would fail.
            if not self._sql.renew.run(cursor, now, pause.until, pause.reason, pause.queue):
                self._sql.put.run(cursor, pause.queue, now, pause.until, pause.reason)

        self._store.transact(lambda tx: put(tx.cursor))

    def resume(self, queue: str) -> bool:
        now = self._store.now()

        def resume(cursor: Any) -> bool:
            self._sql.forget_over.run(cursor, now)
            return self._sql.end.run(cursor, queue) > 0

        return queue != _HOLD and self._store.transact(lambda tx: resume(tx.cursor))

    def hold(self, reason: str) -> None:
        now = self._store.now()
        self._store.alone(lambda cursor: self._sql.put.run(cursor, _HOLD, now, None, reason))

    def release_hold(self) -> bool:
        now = self._store.now()

        def release(cursor: Any) -> bool:
            if not self._sql.end.run(cursor, _HOLD):
                return False
            self._advance(cursor, now)
            return True

        return self._store.transact(lambda tx: release(tx.cursor))

    def advance(self) -> int:
        now = self._store.now()
        return self._store.transact(lambda tx: self._advance(tx.cursor, now))

    def _advance(self, cursor: Any, now: int) -> int:
        self._sql.advance.run(cursor, now, now)
        return self._value(cursor, "moment")

    def _value(self, cursor: Any, name: str) -> int:
        row = self._sql.value.one(cursor, name)
        assert row is not None, "the migrations put it there"
        value: int = row[0]
        return value


class _Statements:
    """The statements of control, compiled once."""

    def __init__(self, store: Store) -> None:
        s, p = signals.c, pauses.c
        restart, moment = s.name == literal("restart"), s.name == literal("moment")
        nothing = [null().label(name) for name in names(pauses)]
        self.all = store.prepare(
            union_all(
                select(s.name, s.value, *nothing).where(or_(restart, moment)),
                select(null(), null(), *p).where(or_(p.until.is_(None), p.until > P("now"))),
            ),
            "now",
        )
        self.count_restart = store.prepare(
            update(signals).where(restart).values(value=s.value + ONE)
        )
        self.value = store.prepare(select(s.value).where(s.name == P("which")), "which")
        self.advance = store.prepare(
            update(signals).where(moment, s.value < P("least")).values(value=P("now")),
            "now",
            "least",
        )
        self.forget_over = store.prepare(delete(pauses).where(p.until <= P("now")), "now")
        self.renew = store.prepare(
            update(pauses)
            .where(p.queue == P("which"))
            .values(since=P("now"), until=P("end"), reason=P("why")),
            "now",
            "end",
            "why",
            "which",
        )
        self.put = store.prepare(store.ignoring_known(insert(pauses)), *names(pauses))
        self.end = store.prepare(delete(pauses).where(p.queue == P("which")), "which")
