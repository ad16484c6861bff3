"""Measures Tabur on SQLite beside a bare sqlite3 loop and beside huey. `make bench` runs it."""
