"""Which client speaks to the server: PyMySQL, or mysqlclient where it is installed."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from sqlalchemy.engine import URL

from tabur.drivers.database.stores.network import KEEPALIVES, Fate, asked_after, missing_client
from tabur.errors import ConfigError

#: The clients by SQLAlchemy's names, the faster first.
MYSQLCLIENT, PYMYSQL = "mysqldb", "pymysql"
_MODULES = {MYSQLCLIENT: "MySQLdb", PYMYSQL: "pymysql"}

_FATES = {
    Fate.GONE: (
        *(2006, 2013, 2055, 4031),  # the connection was lost, or idle for too long
        *(1053, 1927),  # the server shuts down, somebody killed the connection
        *(1290, 1792, 1836),  # it can only be read: a primary no more
        1047,  # a node that has lost its cluster
    ),
    Fate.AGAIN: (
        1213,
        1205,  # waited too long for a lock; the server keeps the transaction, and we end it
        1020,  # what it wants to change has changed since it was read
        3101,  # another node has changed the same
    ),
    Fate.NO_TABLES: (1146, 1054),
    Fate.DATA: (1048, 1264, 1366, 1406),
}
_FATE_OF = {code: fate for fate, codes in _FATES.items() for code in codes}


def client_for(url: URL) -> URL:
    """`url` for a client that is installed; those that only speak asynchronously are replaced.
    Raises ConfigError where there is none."""
    named = url.drivername.partition("+")[2]
    if named in _MODULES:
        if not _is_installed(named):
            raise _missing(url, named)
        return url.set(drivername=f"mysql+{named}")
    for client in _MODULES:
        if _is_installed(client):
            return url.set(drivername=f"mysql+{client}")
    raise missing_client(url, "mysql")


def module_of(url: URL) -> Any:
    return import_module(_MODULES[url.get_driver_name()])


def client_flags(url: URL) -> int:
    """Several statements in one round trip; and what was found is counted, changed or not."""
    flags = import_module(f"{_MODULES[url.get_driver_name()]}.constants.CLIENT")
    return int(flags.MULTI_STATEMENTS | flags.FOUND_ROWS)


def give_up_after(silence: float, connection: Any) -> None:
    """Let TCP end a connection whose server has been silent for so many seconds: neither client
    asks for that by itself. A socket in the file system has no such options, nor has each system
    all of them."""
    own = connection if hasattr(connection, "fileno") else connection._sock  # PyMySQL's
    options = {
        "TCP_KEEPIDLE": asked_after(silence),
        "TCP_KEEPINTVL": 1,
        "TCP_KEEPCNT": KEEPALIVES,
        "TCP_USER_TIMEOUT": int(silence * 1000),
    }
    with socket.socket(fileno=os.dup(own.fileno())) as same, suppress(OSError):
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            if hasattr(socket, name):
                same.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def fate_of(error: Exception) -> Fate | None:
    """By the server's number; None where there is none that says it."""
    code = error.args[0] if error.args else None
    # 0: PyMySQL's own connection was closed by an error before. A text: what came over the wire
    # was no answer to what was asked.
    if code == 0 or isinstance(code, str):
        return Fate.GONE
    return _FATE_OF.get(code) if isinstance(code, int) else None


def _is_installed(client: str) -> bool:
    return find_spec(_MODULES[client]) is not None


def _missing(url: URL, client: str) -> ConfigError:
    if client == PYMYSQL:
        return missing_client(url, "mysql")
    return ConfigError(
        f"DATABASE_URL names {url.drivername}, whose client is not installed: pip install "
        "mysqlclient, or write mysql+pymysql://…"
    )
