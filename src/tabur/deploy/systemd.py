"""systemd's units: systemd.service(5), systemd.exec(5), and for quoting systemd.syntax(7)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tabur.deploy.plan import File, Plan, Program
from tabur.errors import ConfigError

PLACE = "/etc/systemd/system"


def systemd(plan: Plan) -> list[File]:
    """One unit for each program. Raises ConfigError for a path that the format cannot carry."""
    return [File(f"{PLACE}/{each.name}.service", _unit(plan, each)) for each in plan.programs]


def _unit(plan: Plan, program: Program) -> str:
    start, *words = plan.command(program, env_file=False)
    if re.search(r"[\"'\\]", start):
        raise ConfigError(
            f"--executable={start!r}: systemd starts no program with quotes or backslashes in its "
            "path. Put the environment elsewhere."
        )
    processes = [f"--processes={program.processes}"] if program.processes > 1 else []
    command = " ".join([_quoted(start), *map(word, [*words, *processes])])
    after = " ".join(["network-online.target", *_services(plan.stores)])
    env_file = plan.env_file or f"{plan.directory}/.env"
    return f"""\
# {PLACE}/{program.name}.service
# Written by: tabur deploy:systemd
[Unit]
Description={_specifiers(program.title)}
After={after}
Wants=network-online.target
# Never given up: a store that starts more slowly is waited for.
StartLimitIntervalSec=0

[Service]
{_KIND[program.is_worker]}User={_specifiers(plan.user)}
WorkingDirectory={path(plan.directory, "--directory")}
EnvironmentFile=-{_pattern(path(env_file, "--env-file"))}
ExecStart={command}
Restart=always
RestartSec=2
# SIGTERM goes to the first process alone, which ends the others within its grace of
# {program.grace:g} s; what is left after TimeoutStopSec is killed.
KillMode=mixed
KillSignal=SIGTERM
TimeoutStopSec={program.stop_seconds}
{_hardening(plan)}
[Install]
WantedBy=multi-user.target
"""


_KIND = {
    True: "Type=notify\nTimeoutStartSec=300\nWatchdogSec=60\n",
    False: "Type=exec\n",
}


def _hardening(plan: Plan) -> str:
    """What no job should miss. NoNewPrivileges also ends sudo, and programs such as sendmail that
    change their group."""
    writable = ""
    if plan.directory.startswith(("/usr/", "/etc/", "/boot/", "/efi/")):
        writable = f"ReadWritePaths=-{word(f'{plan.directory}/var')}\n"
    return f"""\
# Neither a job nor what it starts gains rights: no sudo, no setuid programs.
NoNewPrivileges=true
ProtectSystem=full
{writable}ProtectClock=true
ProtectControlGroups=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
RestrictRealtime=true
RestrictSUIDSGID=true
LockPersonality=true
SystemCallArchitectures=native
UMask=0027
"""


def _services(stores: tuple[str, ...]) -> list[str]:
    """The units of stores on this machine, as Debian calls them; those that are not there do not
    matter."""
    kinds = {urlsplit(url).scheme.partition("+")[0] for url in stores}
    return [unit for kind, units in _UNITS.items() if kind in kinds for unit in units]


_UNITS = {
    "postgresql": ["postgresql.service"],
    "postgres": ["postgresql.service"],
    "mysql": ["mysql.service", "mariadb.service"],
    "mariadb": ["mariadb.service"],
    "redis": ["redis-server.service"],
    "rediss": ["redis-server.service"],
    "unix": ["redis-server.service"],
}


def word(text: str) -> str:
    """One argument of a command line: `$` begins a variable, `%` a specifier."""
    return _quoted(text.replace("$", "$$"))


def _quoted(text: str) -> str:
    """Alone for the path of the program, in which no variable is looked for."""
    text = _specifiers(text)
    if re.fullmatch(r"[\w@%+=:,./$-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def path(text: str, what: str) -> str:
    """A path that is a whole value: quotes and backslashes are themselves in it."""
    if text != text.strip() or text.endswith("\\"):
        raise ConfigError(
            f"{what}={text!r}: systemd would drop a space at the end, and go on with the next line "
            "after a backslash. Use another path."
        )
    return _specifiers(text)


def _pattern(text: str) -> str:
    """EnvironmentFile= takes patterns of names."""
    return re.sub(r"([\\*?\[])", r"\\\1", text)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")
