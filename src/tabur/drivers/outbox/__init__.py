"""The outbox: jobs for a store that is not the caller's database, kept in its transaction."""
