"""A compose file: web, workers, scheduler, and the store where it is to be a container too.
https://docs.docker.com/reference/compose-file/"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tabur.deploy.plan import File, Plan, Program

#: Names of this machine. A container reaches none of them there, so the store becomes a service.
_HERE = (None, "", "localhost", "127.0.0.1", "::1")
_PORT = 8000


@dataclass(frozen=True)
class Service:
    """A store in a container of its own. `url` is how the others reach it, in the `variable` that
    they read; `password` the variable with its password; `keeps` the folder of its data."""

    name: str
    variable: str
    url: str
    password: str
    image: str
    keeps: str
    test: list[str]
    environment: dict[str, str]
    command: list[str] = field(default_factory=list)


def compose(
    plan: Plan, *, user: str, web: str | None, variables: Sequence[tuple[str, str]]
) -> list[File]:
    """`user` as `user:` takes it, such as 1000:1000; `web`: the command of the web server;
    `variables`: names of those that hold the URLs of the stores in use, with the URLs."""
    services = [each for name, url in variables for each in _service(name, url)]
    folders = [f"./var:{plan.directory}/var", *_folders(plan, variables)]
    parts = [
        _head(services),
        _shared(plan, services, folders, user),
        "services:",
        _migrate(plan, services),
        *([_web(web)] if web else []),
        *(_program(plan, each) for each in plan.programs),
        *(_store(each) for each in services),
    ]
    if services:
        parts.append("volumes:\n" + "".join(f"  {each.name}:\n" for each in services))
    return [File("compose.yaml", "\n".join(parts))]


def _head(services: list[Service]) -> str:
    passwords = ", ".join(dict.fromkeys(each.password for each in services))
    needed = f"# .env must hold, in letters and digits: {passwords}\n" if services else ""
    return f"# compose.yaml\n# Written by: tabur deploy:compose\n{needed}"


def _shared(plan: Plan, services: list[Service], folders: list[str], user: str) -> str:
    urls = "".join(f"    {each.variable}: {json.dumps(each.url)}\n" for each in services)
    return f"""\
x-app: &app
  build: .
  user: {_text(user)}
  working_dir: {_text(plan.directory)}
  restart: unless-stopped
  stop_signal: SIGTERM
  cap_drop: ["ALL"]
  security_opt: ["no-new-privileges:true"]
  env_file: [".env"]
  environment:
    # Of each container alone: what tabur health reads.
    TABUR_RUN: "/tmp/tabur"
{urls}  volumes: {_words(folders)}
  depends_on:
    migrate: {{condition: service_completed_successfully}}
{_healthy(services, 4)}"""


def _healthy(services: list[Service], indent: int) -> str:
    space = " " * indent
    return "".join(f"{space}{each.name}: {{condition: service_healthy}}\n" for each in services)


def _migrate(plan: Plan, services: list[Service]) -> str:
    depends = f"    depends_on:\n{_healthy(services, 6)}" if services else "    depends_on: {}\n"
    return f"""\
  migrate:
    <<: *app
    command: {_words(["tabur", "--app", plan.app, "migrate"])}
    restart: on-failure
{depends}"""


def _web(command: str) -> str:
    check = f"import socket; socket.create_connection(('127.0.0.1', {_PORT}), 3)"
    return f"""\
  web:
    <<: *app
    command: {_words(shlex.split(command))}
    ports: ["{_PORT}:{_PORT}"]
    stop_grace_period: 30s
    healthcheck:
      test: {_words(["CMD", "python", "-c", check])}
      interval: 15s
      timeout: 5s
      start_period: 60s
"""


def _program(plan: Plan, program: Program) -> str:
    words = ["tabur", "--app", plan.app, *program.words]
    if program.processes > 1:
        words.append(f"--processes={program.processes}")
    return f"""\
  {program.name.removeprefix(f"{plan.name}-")}:
    <<: *app
    command: {_words(words)}
    # Longer than its grace of {program.grace:g} s.
    stop_grace_period: {program.stop_seconds}s
{_HEALTH if program.is_worker else ""}"""


_HEALTH = """\
    healthcheck:
      test: ["CMD", "tabur", "health"]
      interval: 15s
      timeout: 10s
      start_period: 60s
"""


def _store(service: Service) -> str:
    command = f"    command: {json.dumps(service.command)}\n" if service.command else ""
    environment = "".join(
        f"      {name}: {json.dumps(text)}\n" for name, text in service.environment.items()
    )
    return f"""\
  {service.name}:
    image: {service.image}
    restart: unless-stopped
{command}    environment:
{environment}    volumes: ["{service.name}:{service.keeps}"]
    stop_grace_period: 60s
    healthcheck:
      test: {json.dumps(service.test)}
      interval: 5s
      timeout: 5s
      retries: 20
"""


def _service(variable: str, url: str) -> Iterator[Service]:
    """A store that is thought of on this machine; what is elsewhere stays where it is."""
    parts = urlsplit(url)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite" or parts.hostname not in _HERE:
        return
    name, user = _escape(unquote(parts.path.strip("/"))), _escape(parts.username or "tabur")
    if kind in ("postgresql", "postgres"):
        yield Service(
            "postgres",
            variable,
            _url(parts.scheme, user, "POSTGRES_PASSWORD", "postgres", name or user),
            "POSTGRES_PASSWORD",
            "postgres:17",
            "/var/lib/postgresql/data",
            ["CMD", "pg_isready", "-h", "127.0.0.1", "-U", user, "-d", name or user],
            {
                "POSTGRES_USER": user,
                "POSTGRES_DB": name or user,
                "POSTGRES_PASSWORD": _variable("POSTGRES_PASSWORD"),
            },
        )
    elif kind in ("mysql", "mariadb"):
        yield Service(
            "mariadb",
            variable,
            _url(parts.scheme, user, "MARIADB_PASSWORD", "mariadb", name or user),
            "MARIADB_PASSWORD",
            "mariadb:11.4",
            "/var/lib/mysql",
            ["CMD", "healthcheck.sh", "--connect", "--innodb_initialized"],
            {
                "MARIADB_USER": user,
                "MARIADB_DATABASE": name or user,
                "MARIADB_PASSWORD": _variable("MARIADB_PASSWORD"),
                "MARIADB_RANDOM_ROOT_PASSWORD": "1",
            },
        )
    elif kind in ("redis", "rediss", "unix"):
        database = name if name.isdecimal() and kind != "unix" else "0"
        yield Service(
            "redis",
            variable,
            f"redis://:{_variable('REDIS_PASSWORD')}@redis:6379/{database}",
            "REDIS_PASSWORD",
            "redis:7.4",
            "/data",
            ["CMD-SHELL", 'REDISCLI_AUTH="$$REDIS_PASSWORD" redis-cli ping | grep -q PONG'],
            {
                "REDIS_PASSWORD": _variable("REDIS_PASSWORD"),
                "REDIS_OPTIONS": "--appendonly yes --maxmemory-policy noeviction",
            },
            [
                "sh",
                "-c",
                'exec redis-server --requirepass "$$REDIS_PASSWORD" $$REDIS_OPTIONS',
            ],
        )


def _url(scheme: str, user: str, password: str, host: str, name: str) -> str:
    user, name = quote(user, safe="$"), quote(name, safe="$")
    return f"{scheme}://{user}:{_variable(password)}@{host}/{name}"


def _variable(name: str) -> str:
    """What compose puts there; it refuses to start without."""
    return f"${{{name}:?write it into .env}}"


def _folders(plan: Plan, variables: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Those of SQLite files that lie elsewhere than in var."""
    for _, url in variables:
        scheme, _, file = url.partition(":///")
        folder = file.partition("?")[0].rpartition("/")[0]
        if scheme.startswith("sqlite") and folder and folder.partition("/")[0] != "var":
            own = folder.startswith("/")
            yield f"{folder}:{folder}" if own else f"./{folder}:{plan.directory}/{folder}"


def _words(words: Sequence[str]) -> str:
    """A list of YAML, in which compose finds no variables of its own."""
    return json.dumps([_escape(each) for each in words], ensure_ascii=False)


def _text(text: str) -> str:
    return json.dumps(_escape(text), ensure_ascii=False)


def _escape(text: str) -> str:
    return text.replace("$", "$$")
