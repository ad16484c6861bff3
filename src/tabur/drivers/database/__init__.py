"""Jobs in a SQL database: SQLite, with no server."""
