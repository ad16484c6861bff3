"""What a store does for a verb: each statement that reads or changes jobs, with the plan by which
the engine really ran it, as the engine itself tells."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from sqlalchemy import event

from servers.mariadb import MariaDBServer
from tabur.drivers.database.driver import DatabaseDriver


class Seen:
    """One statement."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.indexes: set[str] = set()
        self.bad: list[str] = []
        """Parts of the plan that no statement should have: whole tables read, rows sorted."""
        self.read = 0
        """Rows read; on SQLite steps of its machine, of which a row takes some twenty."""
        self.pages = 0
        """On PostgreSQL: pages looked at."""

    def __repr__(self) -> str:
        return (
            f"\n{self.sql.strip()}\n-> indexes {sorted(self.indexes)}, bad {self.bad}, "
            f"read {self.read}, pages {self.pages}"
        )


class Watcher(Protocol):
    """Watches one driver, from before its first connection."""

    def watching(self) -> Any:
        """A context that answers a list, filled with what was `Seen` in it when it ends."""


class PostgresWatcher:
    """By auto_explain, which sends plans as notices."""

    def __init__(self, driver: DatabaseDriver) -> None:
        self._seen: list[Seen] | None = None
        event.listen(driver._store._engine, "connect", self._connected)  # type: ignore[attr-defined]  # inside

    @contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        self._seen = []
        yield self._seen
        self._seen = None

    def _connected(self, raw: Any, _: Any) -> None:
        raw.execute(
            "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0;"
            "SET auto_explain.log_analyze = on; SET auto_explain.log_buffers = on;"
            "SET auto_explain.log_timing = off; SET auto_explain.log_format = json;"
            "SET auto_explain.log_level = notice"
        )
        raw.add_notice_handler(self._told)

    def _told(self, notice: Any) -> None:
        _, found, plan = notice.message_primary.partition("plan:\n")
        if self._seen is None or not found:
            return
        told = json.loads(plan)
        seen = Seen(told["Query Text"])
        self._seen.append(seen)
        root = told["Plan"]
        seen.pages = root.get("Shared Hit Blocks", 0) + root.get("Shared Read Blocks", 0)
        self._look(seen, root)

    def _look(self, seen: Seen, node: dict[str, Any]) -> None:
        kind = node["Node Type"]
        if kind in ("Seq Scan", "Bitmap Heap Scan", "Sort", "Incremental Sort"):
            seen.bad.append(f"{kind} {node.get('Relation Name', '')}")
        if "Index Name" in node:
            seen.indexes.add(node["Index Name"])
        if "Scan" in kind:
            removed = node.get("Rows Removed by Filter", 0)
            removed += node.get("Rows Removed by Index Recheck", 0)
            seen.read += (node["Actual Rows"] + removed) * node["Actual Loops"]
        for child in node.get("Plans", ()):
            self._look(seen, child)


class MariaDBWatcher:
    """By the slow log, with every statement slow."""

    def __init__(self, driver: DatabaseDriver, server: MariaDBServer) -> None:
        self._server, self._driver = server, driver
        self._marks = 0
        self._log: Path = server.folder / "data" / "watched.log"
        event.listen(driver._store._engine, "connect", self._connected)  # type: ignore[attr-defined]  # inside

    @contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        seen: list[Seen] = []
        before = self._log.stat().st_size if self._log.exists() else 0
        yield seen
        for entry in self._written_since(before).split("# User@Host:")[1:]:
            self._read(seen, entry)

    def _written_since(self, place: int) -> str:
        """The log is written after the answer: what was asked last must stand in it."""
        self._marks += 1
        mark = f"mark {self._marks}"
        with self._driver._store.read() as cursor:
            cursor.execute(f"SELECT '{mark}'")
        deadline = monotonic() + 30
        while monotonic() < deadline:
            with self._log.open(encoding="utf-8") as log:
                log.seek(place)
                written = log.read()
            if mark in written:
                return written
        raise AssertionError("the server's slow log does not grow")

    def _connected(self, raw: Any, _: Any) -> None:
        with self._server._connect() as root, root.cursor() as cursor:
            cursor.execute("SET GLOBAL slow_query_log_file = 'watched.log'")
            cursor.execute("SET GLOBAL slow_query_log = ON")
        cursor = raw.cursor()
        cursor.execute("SET SESSION log_slow_verbosity = 'query_plan,explain'")
        cursor.execute("SET SESSION slow_query_log = ON, long_query_time = 0")
        cursor.close()

    def _read(self, seen: list[Seen], entry: str) -> None:
        sql = "\n".join(line for line in entry.splitlines()[1:] if not line.startswith("#"))
        sql = re.sub(r"SET timestamp=\d+;\s*", "", sql)
        if " job_" not in sql:
            return
        one = Seen(sql)
        seen.append(one)
        examined = re.search(r"Rows_examined: (\d+)", entry)
        one.read = int(examined[1]) if examined else 0
        for flag in ("Full_join", "Filesort", "Tmp_table_on_disk"):
            if f"{flag}: Yes" in entry:
                one.bad.append(flag)
        for line in re.findall(r"^# explain: (.*)$", entry, re.MULTILINE):
            parts = line.split("\t")
            if len(parts) > 5 and parts[0] != "id" and parts[5] != "NULL":
                one.indexes.add(parts[5])


class SqliteWatcher:
    """By EXPLAIN QUERY PLAN of what the connections tell that they run."""

    def __init__(self, driver: DatabaseDriver, path: str) -> None:
        self._file = driver._store._file  # type: ignore[attr-defined]  # inside
        self._path = path
        self._steps = 0

    @contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        seen: list[Seen] = []
        told: list[tuple[str, int]] = []
        self._steps = 0

        def tell(sql: str) -> None:
            told.append((sql, self._steps))

        for each in self._file._open:
            each.set_trace_callback(tell)
            each.set_progress_handler(self._step, 1)
        yield seen
        for each in self._file._open:
            each.set_trace_callback(None)
            each.set_progress_handler(None, 1)
        with sqlite3.connect(self._path) as connection:
            ends = [steps for _, steps in told[1:]] + [self._steps]
            for (sql, began), ended in zip(told, ends, strict=True):
                if "job_" in sql:
                    seen.append(self._explain(connection, sql, ended - began))
        connection.close()

    def _step(self) -> int:
        self._steps += 1
        return 0

    def _explain(self, connection: sqlite3.Connection, sql: str, steps: int) -> Seen:
        one = Seen(sql)
        one.read = steps
        for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {sql}"):
            one.indexes.update(re.findall(r"INDEX (\w+)", detail))
            if "PRIMARY KEY" in detail:
                one.indexes.add("PRIMARY")
            if "TEMP B-TREE" in detail:
                one.bad.append(detail)
        return one
