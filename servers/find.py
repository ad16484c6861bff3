"""Where the programs of the servers are, and others that tests start: on PATH, or where Debian puts
them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    names: tuple[str, ...]  # the first that is found is taken
    places: str  # a pattern of folders beside PATH; the newest version is taken
    package: str  # of Debian and Ubuntu


PROGRAMS = {
    "postgres": Program(("postgres",), "/usr/lib/postgresql/*/bin", "postgresql"),
    "pgbouncer": Program(("pgbouncer",), "/usr/sbin", "pgbouncer"),
    "mariadbd": Program(("mariadbd", "mysqld"), "/usr/sbin", "mariadb-server"),
    "mariadb-install-db": Program(
        ("mariadb-install-db", "mysql_install_db"), "/usr/bin", "mariadb-server"
    ),
    "redis-server": Program(("redis-server", "valkey-server"), "/usr/bin", "redis-server"),
    "supervisord": Program(("supervisord",), "/usr/bin", "supervisor"),
    "supervisorctl": Program(("supervisorctl",), "/usr/bin", "supervisor"),
    # What reads and runs the files of tabur deploy:… (tests/deploy).
    "systemd-analyze": Program(("systemd-analyze",), "/usr/bin", "systemd"),
    "systemd": Program(("systemd",), "/usr/lib/systemd", "systemd"),
    "cron": Program(("cron",), "/usr/sbin", "cron"),
    "docker-compose": Program(("docker-compose",), "/usr/bin", "docker-compose"),
    # For hosts on a network (servers/hosts.py).
    "ip": Program(("ip",), "/usr/sbin", "iproute2"),
    "setpriv": Program(("setpriv",), "/usr/bin", "util-linux"),
    "unshare": Program(("unshare",), "/usr/bin", "util-linux"),
    "nsenter": Program(("nsenter",), "/usr/bin", "util-linux"),
    "libfaketime": Program(("libfaketimeMT.so.1",), "/usr/lib/*/faketime", "faketime"),
}


class Missing(Exception):
    """A program is not on this machine; `package` of Debian has it."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(
            f"{name} is missing. On Debian or Ubuntu: "
            f"sudo apt-get install -y --no-install-recommends {package}"
        )
        self.name = name
        self.package = package


def binary(name: str) -> Path:
    """The path of a program of `PROGRAMS`; raises Missing."""
    program = PROGRAMS[name]
    for candidate in program.names:
        on_path = shutil.which(candidate)
        if on_path is not None:
            return Path(on_path)
        found = Path("/").glob(f"{program.places}/{candidate}".lstrip("/"))
        newest = max(found, key=_version, default=None)
        if newest is not None:
            return newest
    raise Missing(name, program.package)


def _version(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]
