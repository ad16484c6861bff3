"""MySQL and MariaDB: a server that tells nobody of new work."""
