"""Debian's supervisord with the programs of a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from servers.find import binary

#: Seconds: how long it is waited for.
_CEILING = 40.0
_CONFIGURATION = """
[unix_http_server]
file={folder}/ctl

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/ctl

[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}

[include]
files={folder}/conf.d/*.conf
"""


class Supervisord:
    """Runs what stands in `conf.d` of `folder`, whose path is short enough for a socket, as Debian
    includes such files. Raises Missing."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._main = folder / "supervisord.conf"
        self._main.write_text(_CONFIGURATION.format(folder=folder), "utf-8")
        self._process = subprocess.Popen(
            [binary("supervisord"), "-c", self._main],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, *words: str) -> str:
        """What supervisorctl prints."""
        done = subprocess.run(
            [binary("supervisorctl"), "-c", self._main, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_CEILING,
            check=False,
        )
        return done.stdout

    def pids(self, of: str = "shop-worker") -> set[int]:
        """Of the programs that run, whose names begin so."""
        lines = [line.split() for line in self.ask("status").splitlines()]
        return {
            int(line[3].rstrip(","))
            for line in lines
            if line[0].startswith(of) and line[1:2] == ["RUNNING"]
        }

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_CEILING)
        finally:
            self._process.kill()
