"""Where the server is: named by the URL, by Sentinels, or by the nodes of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.connection import ConnectionPool
from redis.crc import key_slot
from redis.exceptions import RedisError

from tabur.drivers.redis.faults import LOADING, Lost, unreachable
from tabur.errors import ConfigError, StoreUnreachable, TaburError

#: Seconds until a connection is given up that does not come to be.
CONNECT_TIMEOUT = 5.0
OLDEST = (6, 2)
_SENTINEL = "+sentinel"


@dataclass(frozen=True)
class Server:
    """What a server told of itself when we connected."""

    answer: bytes
    """To INFO."""

    @cached_property
    def info(self) -> Mapping[str, str]:
        lines = self.answer.decode("utf-8", "replace").splitlines()
        parts = (line.partition(":") for line in lines)
        return {name: value for name, colon, value in parts if colon}

    @property
    def version(self) -> tuple[int, ...]:
        """Of Redis, or of the Redis that this Valkey is compatible with."""
        return tuple(int(part) for part in self.info["redis_version"].split(".")[:3])

    @property
    def product(self) -> str:
        if "valkey_version" in self.info:
            return f"Valkey {self.info['valkey_version']}"
        return f"Redis {self.info['redis_version']}"

    @property
    def is_cluster(self) -> bool:
        return self.info.get("cluster_enabled") == "1"

    @property
    def is_primary(self) -> bool:
        return self.info.get("role", "master") == "master"


class Address:
    """`redis://[user:password@]host[:port][,host[:port]…][/db]`, with TLS `rediss://`, a socket
    `unix:///path`, and by Sentinels `redis+sentinel://host[:port],…/service[/db]`. A node of a
    cluster tells of the others; naming several lets a dead one be passed over.

    `key` is any of ours: it decides which node of a cluster is the right one. Seconds of `timeout`
    bound every answer.
    """

    def __init__(self, url: str, *, key: str, timeout: float) -> None:
        parts = urlsplit(url)
        scheme = parts.scheme.removesuffix(_SENTINEL)
        if scheme not in ("redis", "rediss", "unix"):
            raise ConfigError(
                f"REDIS_URL begins with {parts.scheme or 'nothing'}://; write redis://host:6379/0, "
                "rediss:// for TLS, unix:///path, or redis+sentinel://host:26379,host:26379/service"
            )
        user, at, hosts = parts.netloc.rpartition("@")
        self.shown = urlunsplit(parts._replace(netloc=hosts, query=""))
        """Without what is secret."""
        path = parts.path
        self._service: str | None = None
        if scheme != parts.scheme:
            self._service, _, db = path.strip("/").partition("/")
            path = f"/{db or 0}"
            if not self._service:
                raise ConfigError(f"{self.shown} names no service of the Sentinels.")
        self._key = key
        self._timeout = timeout
        self._hurry = min(CONNECT_TIMEOUT, timeout)
        self._named = [f"{user}{at}{host}" for host in hosts.split(",")]
        self._parts = parts._replace(scheme=scheme, path=path)
        self._known: list[tuple[str, int]] = []
        for each in self._urls():
            self._pool(each)  # a wrong one is told when the app starts

    def open(self, *, picky: bool = True) -> tuple[Any, Server]:
        """A connection to the server that takes our writes, and what that told of itself; not
        `picky`: however it is set, to tell of it. Raises StoreUnreachable, ConfigError."""
        deadline = monotonic() + 2 * self._hurry
        error: StoreUnreachable | None = None
        for host, port in self._candidates():
            try:
                return self._right_one(*self._connect(host, port, picky=picky), picky=picky)
            except StoreUnreachable as why:
                error = why
            if monotonic() > deadline:
                break
        assert error is not None
        raise error

    def _candidates(self) -> Iterator[tuple[str | None, int | None]]:
        """Host and port to try; None stands for what a URL says, one after the other."""
        yield from self._known
        self._known = []
        if self._service is not None:
            yield self._ask_sentinels(self._service)
            return
        for each in self._urls():
            made = self._pool(each).connection_kwargs
            yield made.get("host"), made.get("port")

    def _urls(self) -> list[str]:
        return [urlunsplit(self._parts._replace(netloc=each)) for each in self._named]

    def _pool(self, url: str) -> ConnectionPool:
        """Used only to make connections: it reads the URL, options for TLS included."""
        timeouts = {"socket_timeout": self._timeout, "socket_connect_timeout": self._hurry}
        try:
            return ConnectionPool.from_url(url, protocol=2, socket_keepalive=True, **timeouts)
        except (ValueError, TypeError):
            raise ConfigError(
                "REDIS_URL cannot be read; write redis://[user:password@]host:6379/0. (Such "
                "characters as @ and / in a password are written %40 and %2F.)"
            ) from None

    def _connect(self, host: str | None, port: int | None, *, picky: bool) -> tuple[Any, Server]:
        pool = self._pool(self._urls()[0])
        if host is not None:
            pool.connection_kwargs |= {"host": host, "port": port or 6379}
        try:
            connection: Any = pool.make_connection()
        except TypeError as error:
            raise ConfigError(f"REDIS_URL has an option that is not known: {error}") from None
        server = Server(self._told(connection, "INFO"))
        try:
            if picky:
                _check(self.shown, server)
        except TaburError:
            connection.disconnect()
            raise
        return connection, server

    def _right_one(self, connection: Any, server: Server, *, picky: bool) -> tuple[Any, Server]:
        """This connection, or one to the node of its cluster that has our keys."""
        if server.is_cluster:
            ranges = self._told(connection, "CLUSTER", "SLOTS")
            slot = key_slot(self._key.encode())
            here = connection.host
            nodes = [(each[2][0].decode() or here, int(each[2][1])) for each in ranges]
            ours = [
                node
                for node, (first, last, *_) in zip(nodes, ranges, strict=True)
                if first <= slot <= last
            ]
            if not ours:
                connection.disconnect()
                raise StoreUnreachable(f"{self.shown}: no node of the cluster serves our slot.")
            if ours[0] != (connection.host, int(connection.port)):
                connection.disconnect()
                connection, server = self._connect(*ours[0], picky=picky)
            self._known = [*ours, *dict.fromkeys(node for node in nodes if node not in ours)]
        if not server.is_primary:
            connection.disconnect()
            raise StoreUnreachable(
                f"{self.shown} is a replica, and takes no writes: name its primary, or Sentinels."
            )
        return connection, server

    def _told(self, connection: Any, *question: str) -> Any:
        """The answer of a server that we are about to settle on."""
        try:
            connection.connect()
            connection.send_command(*question)
            return connection.read_response()
        except (RedisError, *Lost) as error:
            connection.disconnect()
            raise unreachable(self.shown, error) from None

    def _ask_sentinels(self, service: str) -> tuple[str, int]:
        """Host and port of the primary that the first Sentinel to answer names."""
        error: StoreUnreachable | None = None
        for each in self._urls():
            pool = self._pool(each)
            # User, password and number of the database are those of the servers.
            for name in ("username", "password", "db"):
                pool.connection_kwargs.pop(name, None)
            pool.connection_kwargs.setdefault("port", 26379)
            connection: Any = pool.make_connection()
            try:
                answer = self._told(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
            except StoreUnreachable as why:
                error = why
                continue
            connection.disconnect()
            if answer is None:
                raise ConfigError(f"{self.shown}: the Sentinels know no service {service!r}.")
            return answer[0].decode(), int(answer[1])
        assert error is not None
        raise error


def _check(store: str, server: Server) -> None:
    if server.version[:2] < OLDEST:
        raise ConfigError(
            f"{store} is {server.product}; Tabur needs Redis 6.2 or later, or Valkey."
        )
    if server.info.get("loading") == "1":
        raise StoreUnreachable(f"{store}: {LOADING}")
    policy = server.info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise ConfigError(
            f"{store} may throw jobs away when its memory is full (maxmemory-policy {policy}). "
            "Run: redis-cli CONFIG SET maxmemory-policy noeviction  and write it into redis.conf, "
            "or set it in the parameters of your provider."
        )
