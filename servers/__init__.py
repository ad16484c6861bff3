"""Real PostgreSQL, MariaDB and Redis servers for tests, fault tests and measurements.

Each lives in a temporary folder on a loopback port of its own, and ends with the process that
started it, however that one ends. `python -m servers postgres` starts one by hand.
"""
