"""`python -m servers postgres`: starts one, prints its URL, and ends it on Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from servers.find import Missing
from servers.mariadb import MariaDBServer
from servers.postgres import PostgresServer
from servers.process import Server, StartFailed
from servers.redis import RedisCluster, RedisServer

KINDS: dict[str, Callable[[], Server | RedisCluster]] = {
    "postgres": PostgresServer.start,
    "mariadb": MariaDBServer.start,
    "redis": RedisServer.start,
    "cluster": RedisCluster.start,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="servers", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    kind = parser.parse_args().kind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        server = KINDS[kind]()
    except (Missing, StartFailed) as error:
        sys.exit(f"servers: {error}")
    with server, suppress(KeyboardInterrupt):
        print(server.url(), flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
