"""What Redis says when something is wrong, as errors that say what to do."""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from tabur.errors import ConfigError, StoreUnavailable, StoreUnreachable, TaburError

#: The connection failed, and with it what was on its way.
Lost = (Disconnected, TimedOut, OSError)

ACL = "+@all -@dangerous +info"


def unreachable(store: str, error: Exception) -> TaburError:
    """No connection could be made: nothing was sent."""
    if isinstance(error, RedisError) and (advice := _advice(error)):
        return StoreUnreachable(f"{store}: {advice}")
    if isinstance(error, ResponseError | AuthenticationError | AuthorizationError):
        return ConfigError(
            f"{store} does not let us in: {error}. Check user and password in REDIS_URL "
            "(redis://user:password@host:6379/0), and that the user may do what Tabur needs: "
            f"ACL SETUSER … {ACL}"
        )
    return StoreUnreachable(f"{store} cannot be reached: {error}")


def unanswered(store: str, error: Exception) -> StoreUnavailable:
    """The connection was lost, or the answer did not come in time."""
    return StoreUnavailable(
        f"{store} did not answer: {error}. Whether it was done is unknown; repeating it is safe."
    )


def refused(store: str, error: RedisError) -> TaburError:
    """The server refused; nothing was done."""
    if advice := _advice(error):
        return StoreUnavailable(f"{store}: {advice}")
    if "NOPERM" in _with_code(error):
        return ConfigError(
            f"{store}: the user in REDIS_URL lacks a permission ({error}). It needs: {ACL}, and "
            "all keys and channels that begin with the prefix in braces."
        )
    return StoreUnavailable(f"{store} refused: {error}")


def has_moved(error: RedisError) -> bool:
    """Whether another server is to be asked; this one did nothing."""
    text = _with_code(error)
    return any(code in text for code in ("MOVED", "READONLY", "MASTERDOWN", "CLUSTERDOWN"))


def _advice(error: RedisError) -> str | None:
    text = _with_code(error)
    return next((advice for code, advice in _ADVICE.items() if code in text), None)


def _with_code(error: RedisError) -> str:
    """The server's words. redis-py takes the first of them off where it has a class for it; what
    comes out of a script of Redis 6 has it in the middle."""
    return f"{_CODES.get(type(error), '')} {error}"


_CODES: dict[type[Exception], str] = {
    ClusterDownError: "CLUSTERDOWN",
    MasterDownError: "MASTERDOWN",
    MovedError: "MOVED",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
LOADING = "it is loading its data after a start; try again in a moment."
_ADVICE = {
    "OOM ": "its memory is full, and nothing was written. Raise maxmemory, let workers drain the "
    "queue, or remove finished jobs (keep_completed); maxmemory-policy stays noeviction.",
    "READONLY": "it is a replica now and takes no writes: the primary has changed. Name the "
    "Sentinels in REDIS_URL (redis+sentinel://…) so that the new one is found.",
    "MASTERDOWN": "it is a replica whose primary is down. Name the Sentinels in REDIS_URL.",
    "LOADING": LOADING,
    "CLUSTERDOWN": "the cluster does not serve all its slots; see CLUSTER INFO.",
    "TRYAGAIN": "our slot of the cluster is being moved; try again in a moment.",
    "MISCONF": "it cannot save to its disk and takes no writes until it can; see its log.",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write asks for.",
    "BUSY ": "a script of somebody else has been running for too long (SCRIPT KILL ends it).",
    "max number of clients": "it has as many clients as maxclients allows.",
}
