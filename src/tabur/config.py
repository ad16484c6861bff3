"""Settings: from keyword arguments, the environment and `.env`, in this order of weight."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from tabur.errors import ConfigError

ConnectionName = Literal["database", "redis", "sync", "memory", "failover"]
CONNECTIONS: tuple[str, ...] = ("database", "redis", "sync", "memory", "failover")
DURABILITIES = ("fast", "safe", "strict")
LOGS = ("lines", "json", "quiet")
LOG_LEVELS = ("debug", "info", "warning", "error")
DEFAULT_DATABASE_URL = "sqlite:///var/tabur.sqlite3"
DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True)
class Settings:
    """What one Tabur object works with."""

    connection: str = "database"
    """Where a job goes that names no connection."""
    connections: tuple[str, ...] = ()
    """Connections in use beside the default one, those of `failover` and those that jobs declare:
    what only `options(connection=…)` names, and stores whose history is still to be read."""
    failover: tuple[str, ...] = ()
    """What the connection `failover` tries, in this order."""
    database_url: str = field(default=DEFAULT_DATABASE_URL, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    redis_queue: str | None = None
    """The default queue on redis; `queue` unless given."""
    redis_prefix: str = "tabur"
    """What the keys of this app begin with, so that several may share one Redis."""
    redis_durability: str = "fast"
    """What a dispatch waits for: `fast`, `safe` or `strict` (docs/redis.md)."""
    redis_replicas: int | None = None
    """How many replicas must confirm; safe: 1, strict: 0 unless given."""
    outbox_url: str | None = field(default=None, repr=False)
    """The application's own database, where `options(session=…)` leaves jobs for redis."""
    queue: str = "default"
    key: str | None = field(default=None, repr=False)
    """Secret for signed links, and for what is encrypted or signed in stores."""
    previous_keys: tuple[str, ...] = field(default=(), repr=False)
    """Keys of before, the latest first: they open what was sealed with them, and seal nothing."""
    sign: bool = False
    """Sign every payload, and run none that is neither signed nor encrypted."""
    env: str = "production"
    attachments: Path = Path("var/attachments")
    run: Path = Path("var/run")
    """Where workers leave what `tabur health` reads, and the latest moment of their store, by which
    a restored backup is told. On a disk of the host that outlives a restart."""
    version: str = ""
    """Of the application's code, kept with each job and each worker; such as a git hash."""
    beat: float = 5.0
    """Seconds between two beats of a worker."""
    lost: float = 30.0
    """Seconds without a beat after which other workers take over: the same for all of a store."""
    keep_completed: timedelta = timedelta(days=7)
    """How long completed jobs stay readable; never less than an hour, so that a repeated dispatch
    or settle is still recognised. A job may declare another span for each ending."""
    keep_failed: timedelta | None = None
    """How long failed jobs stay; None: until somebody removes them."""
    keep_cancelled: timedelta | None = None
    """How long cancelled jobs stay; None: as `keep_completed`."""
    keep_bytes: int | None = None
    """Of payloads and results of finished jobs, in each store; what is above goes, the oldest end
    first, but for what ended within the hour. None: no limit."""
    keep_ticks: timedelta = timedelta(days=30)
    """How long it stays readable what became of each tick of a schedule; never less than a day, so
    that no schedule made anew under an old name repeats what ran."""
    timezone: str = "UTC"
    """Of schedules that name none."""
    mail_host: str = "127.0.0.1"
    mail_port: int = 25
    mail_username: str | None = None
    mail_password: str | None = field(default=None, repr=False)
    mail_from: str = ""
    mail_encryption: str = ""
    """`starttls` (Laravel's `tls`), `ssl`, or nothing: TLS where the server offers it."""
    alert_email: str | None = None
    """Whom alerts are mailed to: addresses, by commas."""
    alert_webhook_url: str | None = field(default=None, repr=False)
    alert_webhook_secret: str | None = field(default=None, repr=False)
    """What its messages are signed with: `whsec_…`."""
    alert_slack_url: str | None = field(default=None, repr=False)
    alert_urls: str | None = field(default=None, repr=False)
    """Addresses of apprise, by spaces."""
    alert_locale: str = "en"
    """The language of alerts: `en` or `ar`."""
    log: str = "lines"
    """What a worker prints for each job: `lines` for people, `json`, or `quiet`."""
    log_level: str = "info"
    """From which level on it prints what jobs, and Tabur itself, tell Python's logging."""
    retry_after: float | None = None
    """Laravel's; accepted without effect, which `tabur about` says. So is `block_for`."""
    block_for: float | None = None

    def __post_init__(self) -> None:
        for setting in ("connections", "failover"):
            names = _names(getattr(self, setting), setting)
            object.__setattr__(self, setting, names)
            for name in names:
                _check_connection(name, setting)
        _check_connection(self.connection, "QUEUE_CONNECTION")
        if "failover" in (*self.failover, *self.connections):
            raise ConfigError("failover is no store: name the connections it is to try.")
        object.__setattr__(self, "previous_keys", _keys(self.previous_keys))
        object.__setattr__(self, "sign", _switch(self.sign, "TABUR_SIGN"))
        if (self.sign or self.previous_keys) and not self.key:
            what = "TABUR_SIGN" if self.sign else "TABUR_PREVIOUS_KEYS"
            raise ConfigError(f"{what} needs a key. Make one: tabur key:generate")
        if self.connection == "failover" and len(self.failover) < 2:
            raise ConfigError(
                "QUEUE_CONNECTION=failover needs two connections or more: failover=['redis', "
                "'database'], or QUEUE_FAILOVER=redis,database."
            )
        if self.redis_durability not in DURABILITIES:
            known = ", ".join(DURABILITIES)
            raise ConfigError(
                f"REDIS_DURABILITY={self.redis_durability!r} is not known; write {known}."
            )
        if self.redis_replicas is not None:
            object.__setattr__(self, "redis_replicas", _replicas(self.redis_replicas))
        if self.redis_url is not None:
            object.__setattr__(self, "redis_url", _checked_redis_url(self.redis_url))
        object.__setattr__(self, "mail_port", _port(self.mail_port))
        self._check_what_is_kept()
        _check_word(self.log, "TABUR_LOG", LOGS)
        _check_word(self.log_level, "TABUR_LOG_LEVEL", LOG_LEVELS)
        for name in ("beat", "lost"):
            object.__setattr__(self, name, _seconds(getattr(self, name), name))
        if self.lost < 4 * self.beat:
            raise ConfigError(
                f"lost={self.lost:g} is too short beside beat={self.beat:g}: a worker is given "
                "four beats at least."
            )

    def _check_what_is_kept(self) -> None:
        for setting in ("keep_completed", "keep_failed", "keep_cancelled"):
            span = getattr(self, setting)
            if span is not None and span < timedelta(hours=1):
                raise ConfigError(f"{setting} must be at least an hour.")
        if self.keep_ticks < timedelta(days=1):
            raise ConfigError("keep_ticks must be at least a day.")
        if self.keep_bytes is not None and self.keep_bytes < 1:
            raise ConfigError("keep_bytes must be a number of bytes above 0.")

    @property
    def silence(self) -> float:
        """Seconds without a word from a store's server after which a connection is given up: so
        few that a worker can beat on another one before it has to end its jobs."""
        return min(10.0, max(3.0, self.lost / 3))

    def queue_on(self, connection: str) -> str:
        """The queue of jobs that name none."""
        return (connection == "redis" and self.redis_queue) or self.queue


def from_env(env_file: str | Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Settings from the environment; `overrides` win over it, it wins over `env_file`."""
    values: dict[str, str] = {}
    if env_file is not None and Path(env_file).is_file():
        from dotenv import dotenv_values

        values = {name: value for name, value in dotenv_values(env_file).items() if value}
    values |= {name: value for name, value in os.environ.items() if value}
    found: dict[str, Any] = {
        name: values[variable] for variable, name in _VARIABLES.items() if values.get(variable)
    }
    for name in ("attachments", "run"):
        if name in found:
            found[name] = Path(found[name])
    if "redis_url" not in found and (url := _redis_url_of_parts(values)) is not None:
        found["redis_url"] = url
    return make_settings(found | dict(overrides))


def project_table(*, mentioning: str = "") -> dict[str, Any]:
    """[tool.tabur] of the nearest pyproject.toml, from this folder upwards; empty where there is
    none, and, so that nothing is imported for it, where the file does not hold the word
    `mentioning`. Raises ConfigError for a file that cannot be read."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            try:
                text = file.read_text(encoding="utf-8")
                if mentioning not in text:
                    return {}
                import tomllib

                found = tomllib.loads(text)
            except (ValueError, OSError) as error:  # no TOML, no UTF-8, no right to read it
                raise ConfigError(f"{file} cannot be read: {error}") from None
            table = found.get("tool", {}).get("tabur", {})
            return table if isinstance(table, dict) else {}
    return {}


def make_settings(given: Mapping[str, Any]) -> Settings:
    """Settings from keyword arguments, with an error that names the wrong one."""
    unknown = set(given) - set(Settings.__dataclass_fields__)
    if unknown:
        known = ", ".join(Settings.__dataclass_fields__)
        raise ConfigError(f"Unknown setting {', '.join(sorted(unknown))}; there are: {known}.")
    return Settings(**given)


_VARIABLES = {
    "QUEUE_CONNECTION": "connection",
    "QUEUE_CONNECTIONS": "connections",
    "QUEUE_FAILOVER": "failover",
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "REDIS_QUEUE": "redis_queue",
    "REDIS_PREFIX": "redis_prefix",
    "REDIS_DURABILITY": "redis_durability",
    "REDIS_REPLICAS": "redis_replicas",
    "TABUR_OUTBOX_URL": "outbox_url",
    "TABUR_KEY": "key",
    "TABUR_PREVIOUS_KEYS": "previous_keys",
    "TABUR_SIGN": "sign",
    "TABUR_ENV": "env",
    "TABUR_ATTACHMENTS": "attachments",
    "TABUR_RUN": "run",
    "TABUR_VERSION": "version",
    "TABUR_LOG": "log",
    "TABUR_LOG_LEVEL": "log_level",
    "TABUR_BEAT": "beat",
    "TABUR_LOST": "lost",
    "TABUR_TIMEZONE": "timezone",
    "MAIL_HOST": "mail_host",
    "MAIL_PORT": "mail_port",
    "MAIL_USERNAME": "mail_username",
    "MAIL_PASSWORD": "mail_password",
    "MAIL_FROM_ADDRESS": "mail_from",
    "MAIL_FROM": "mail_from",
    "MAIL_ENCRYPTION": "mail_encryption",
    "ALERT_EMAIL": "alert_email",
    "ALERT_WEBHOOK_URL": "alert_webhook_url",
    "ALERT_WEBHOOK_SECRET": "alert_webhook_secret",
    "ALERT_SLACK_URL": "alert_slack_url",
    "ALERT_URLS": "alert_urls",
    "ALERT_LOCALE": "alert_locale",
}


#: All variables that settings come from.
VARIABLES: tuple[str, ...] = (
    *_VARIABLES,
    *("REDIS_HOST", "REDIS_PORT", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_DB"),
)


def _names(given: Any, setting: str) -> tuple[str, ...]:
    """A list of connections, or the text `redis,database` of the environment."""
    parts: Iterable[Any] = given.split(",") if isinstance(given, str) else given
    try:
        names = [part.strip() for part in parts]
    except (TypeError, AttributeError):
        raise ConfigError(f"{setting}={given!r}: a list of connections is needed.") from None
    return tuple(dict.fromkeys(name for name in names if name))


def _keys(given: Any) -> tuple[str, ...]:
    """A list of keys, or the text `new,old` of the environment; no error shows one."""
    parts: Iterable[Any] = given.split(",") if isinstance(given, str) else given
    try:
        return tuple(part.strip() for part in parts if part.strip())
    except (TypeError, AttributeError):
        raise ConfigError("previous_keys: a list of keys is needed.") from None


def _switch(given: Any, setting: str) -> bool:
    word = str(given).strip().lower()
    if word not in _SWITCHES:
        raise ConfigError(f"{setting}={given!r} is not known; write 1 or 0.")
    return _SWITCHES[word]


_SWITCHES = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _seconds(given: Any, setting: str) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0.05 <= seconds <= 3600:
        raise ConfigError(f"{setting}={given!r}: seconds from 0.05 to 3600 are needed.")
    return seconds


def _port(given: Any) -> int:
    try:
        port = int(given)
    except (TypeError, ValueError):
        port = 0
    if not 1 <= port <= 65_535:
        raise ConfigError(f"MAIL_PORT={given!r}: a number from 1 to 65,535 is needed.")
    return port


def _check_connection(name: Any, setting: str) -> None:
    if name not in CONNECTIONS:
        known = ", ".join(CONNECTIONS)
        raise ConfigError(f"{setting}={name!r} is not known; write {known}.")


def _check_word(given: Any, setting: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ConfigError(f"{setting}={given!r} is not known; write {', '.join(known)}.")


def _replicas(given: Any) -> int:
    try:
        count = int(given)
    except (TypeError, ValueError):
        count = -1
    if not 0 <= count <= 100:
        raise ConfigError(f"REDIS_REPLICAS={given!r}: a number of replicas is needed.")
    return count


def _redis_url_of_parts(values: Mapping[str, str]) -> str | None:
    """A URL of REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD and REDIS_DB, as Laravel
    understands them: its `null` is nothing, and a host may begin with `tls://`."""
    parts = {
        part: value
        for part in ("HOST", "PORT", "USERNAME", "PASSWORD", "DB")
        if (value := values.get(f"REDIS_{part}", "")) not in ("", "null", "(null)")
    }
    if not parts:
        return None
    scheme, _, host = parts.get("HOST", "127.0.0.1").rpartition("://")
    password = f":{quote(parts['PASSWORD'], safe='')}@" if "PASSWORD" in parts else ""
    user = quote(parts.get("USERNAME", ""), safe="") if password else ""
    if host.startswith("/"):
        return f"unix://{user}{password}{host}?db={parts.get('DB', '0')}"
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"  # IPv6
    port, database = parts.get("PORT", "6379"), parts.get("DB", "0")
    return f"{scheme or 'redis'}://{user}{password}{host}:{port}/{database}"


def _checked_redis_url(url: str) -> str:
    """With Laravel's `tls://` as `rediss://`. Errors leave the URL out: it may hold a password."""
    scheme, colon, rest = url.partition("://")
    scheme = {"tls": "rediss", "tcp": "redis"}.get(scheme, scheme)
    if not (colon and rest and _is_address(scheme, rest)):
        raise ConfigError(
            "REDIS_URL is not a URL; write redis://[user:password@]host:6379/0, or rediss:// for "
            "TLS. (Such characters as @ and / in a password are written %40 and %2F.)"
        )
    return f"{scheme}://{rest}"


def _is_address(scheme: str, rest: str) -> bool:
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        if "," not in parts.netloc:  # nodes and Sentinels are a list
            parts.port  # noqa: B018  # raises for what is no port
    except ValueError:
        return False
    # The client would take database 0 for a name that is no number.
    database = parts.path.strip("/")
    return scheme not in ("redis", "rediss") or not database or database.isdigit()
