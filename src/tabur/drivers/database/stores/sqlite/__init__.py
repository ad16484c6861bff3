"""SQLite: no server, one writer at a time."""
