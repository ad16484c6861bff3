"""A Redis (or Valkey) server, and a cluster of them."""

from __future__ import annotations

import itertools
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Self

from servers.find import binary
from servers.process import LOOPBACK, START, Server, StartFailed

OPTIONS = (
    *("--save", "", "--appendonly", "no"),
    *("--maxmemory-policy", "noeviction"),
)
CLUSTER = (
    *("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"),
    *("--cluster-node-timeout", "2000"),  # milliseconds until a node counts as down
)
SLOTS = 16384


class RedisServer(Server):
    """Keeps nothing on disk unless the options say so: `"--appendonly", "yes"`."""

    immediate = SIGKILL
    fast = SIGTERM

    def __init__(self, parent: Path | None, host: str, options: tuple[str, ...]) -> None:
        self._program = binary("redis-server")
        self._options = (*OPTIONS, *options)
        super().__init__(parent, host)

    @classmethod
    def start(cls, *options: str, folder: Path | None = None, host: str = LOOPBACK) -> Self:
        """Starts a new one in a temporary folder (inside `folder`, which it may make).

        `options` are words of redis-server's command line; the last of a kind counts. At another
        `host` than this machine itself, it lets in whoever reaches it. Raises Missing, and
        StartFailed with the log.
        """
        return cls(folder, host, options)._begin()

    def url(self, db: int = 0) -> str:
        return f"redis://{self.host}:{self.port}/{db}"

    def ask(self, *words: str | int) -> str:
        """The answer to one command: a line, or a text ("" if there is none); raises OSError."""
        with socket.create_connection((self.host, self.port), timeout=5) as client:
            client.sendall(" ".join(str(word) for word in words).encode() + b"\r\n")
            with client.makefile("r", newline="\r\n") as answers:
                first = answers.readline().rstrip()
                return answers.read(max(0, int(first[1:]))) if first.startswith("$") else first

    def _prepare(self) -> None:
        """It makes its data itself."""

    def _command(self) -> list[str | Path]:
        ours = ["--port", str(self.port), "--dir", str(self.folder), "--daemonize", "no"]
        # Protected, it lets in nobody but this machine, as long as there is no password.
        guard = "yes" if self.host == LOOPBACK else "no"
        ours += ["--bind", self.host, "--protected-mode", guard]
        return [self._program, *self._options, *ours]

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == "+PONG"
        except OSError:
            return False


class RedisCluster:
    """Nodes that share the slots evenly, without replicas."""

    def __init__(self, nodes: tuple[RedisServer, ...]) -> None:
        self.nodes = nodes

    @classmethod
    def start(cls, *options: str, nodes: int = 3, folder: Path | None = None) -> Self:
        """Starts the nodes, as `RedisServer.start` does, and returns when all slots are served."""
        with ExitStack() as started:
            cluster = cls(
                tuple(
                    started.enter_context(RedisServer.start(*CLUSTER, *options, folder=folder))
                    for _ in range(nodes)
                )
            )
            cluster._form()
            cluster.wait()
            started.pop_all()
        return cluster

    def url(self) -> str:
        """Of the first node; it tells a client of the others."""
        return self.nodes[0].url()

    def wait(self) -> None:
        """Returns when every node sees every slot served: after a node was down, for example."""
        until = time.monotonic() + START
        while not all(self._is_whole(node) for node in self.nodes):
            if time.monotonic() > until:
                logs = "\n".join(node.log_tail() for node in self.nodes)
                raise StartFailed(f"The cluster does not come together:\n{logs}")
            time.sleep(0.05)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _form(self) -> None:
        count = len(self.nodes)
        bounds = [SLOTS * n // count for n in range(count + 1)]
        shares = itertools.pairwise(bounds)
        for epoch, (node, (low, high)) in enumerate(zip(self.nodes, shares, strict=True), 1):
            # An epoch each, before they meet: otherwise they would quarrel over it for a while.
            self._order(node, "SET-CONFIG-EPOCH", epoch)
            self._order(node, "ADDSLOTS", *range(low, high))
            self._order(node, "MEET", "127.0.0.1", self.nodes[0].port)

    def _order(self, node: RedisServer, *words: str | int) -> None:
        answer = node.ask("CLUSTER", *words)
        if answer != "+OK":
            raise StartFailed(f"CLUSTER {words[0]} was answered {answer}")

    def _is_whole(self, node: RedisServer) -> bool:
        try:
            state = node.ask("CLUSTER", "INFO").splitlines()
        except OSError:
            return False
        return {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"} <= set(state)
