"""Payloads and results under another key: the one thing for which a record is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, update

from tabur.drivers.contract import Body, Rewrite
from tabur.drivers.database.schema import outcomes, records
from tabur.drivers.database.statements import Prepared
from tabur.drivers.database.store import Store

P = bindparam


class Rewriting:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._statements: dict[Body, Prepared] = {
            Body.PAYLOAD: _statement(store, records, records.c.payload),
            Body.RESULT: _statement(store, outcomes, outcomes.c.result),
        }

    def rewrite(self, changes: Sequence[Rewrite]) -> int:
        ordered = sorted(changes, key=lambda each: each.id)  # two who do so wait for no circle

        def rewrite(cursor: Any) -> int:
            return sum(
                self._statements[each.body].run(cursor, each.after, each.id, each.before)
                for each in ordered
            )

        return self._store.transact(lambda tx: rewrite(tx.cursor))


def _statement(store: Store, table: Any, column: Any) -> Prepared:
    changed = update(table).where(table.c.id == P("job"), column == P("before"))
    return store.prepare(changed.values({column.name: P("after")}), "after", "job", "before")
