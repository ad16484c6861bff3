"""Supervisor's configuration: http://supervisord.org/configuration.html."""

from __future__ import annotations

import re
import shlex

from tabur.deploy.plan import File, Plan, Program
from tabur.deploy.users import home_of
from tabur.errors import ConfigError

#: Where Debian's package keeps logs; only root may write there, as supervisord does.
LOG = "/var/log/supervisor"
PLACE = "/etc/supervisor/conf.d"


def supervisor(plan: Plan) -> list[File]:
    """One file with all programs. Raises ConfigError for a path that the format cannot carry."""
    place = f"{PLACE}/{plan.name}.conf"
    text = f"; {place}\n; Written by: tabur deploy:supervisor\n"
    return [File(place, text + "".join(f"\n{_section(plan, each)}" for each in plan.programs))]


def _log(plan: Plan) -> str:
    log = value(plan.log or LOG, "--log")
    if "%" in log:  # it expands this one twice, in the releases that are about
        raise ConfigError(f"--log={plan.log!r}: Supervisor takes no % there. Use another folder.")
    return f"{log}/%(program_name)s_%(process_num)02d.log"


def _section(plan: Plan, program: Program) -> str:
    command = " ".join(word(each) for each in plan.command(program))
    home = home_of(plan.user)
    # supervisord changes the user, and leaves HOME as root has it.
    environment = f'environment=HOME="{home}",USER="{plan.user}"\n' if home else ""
    return f"""\
[program:{program.name}]
process_name=%(program_name)s_%(process_num)02d
command={command}
directory={value(plan.directory, "--directory")}
user={value(plan.user, "--user")}
{environment}numprocs={program.processes}
autostart=true
autorestart=true
; A store that starts more slowly is waited for.
startretries=1000
stopsignal=TERM
stopasgroup=true
killasgroup=true
; Longer than its grace of {program.grace:g} s.
stopwaitsecs={program.stop_seconds}
redirect_stderr=true
stdout_logfile={_log(plan)}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=5
"""


def word(text: str) -> str:
    """One word of a command: quoted for shlex; for configparser without a space before `;` or `#`,
    where a comment would begin; and for Supervisor's own expansion of `%`, and of `%(here)s` before
    it."""
    quoted = re.sub(r"(\s)(?=[;#])", r"\1''", shlex.quote(text))
    return quoted.replace("%", "%%").replace("%(", "%''(")


def value(text: str, what: str) -> str:
    """A whole value, which knows no quotes."""
    if re.search(r"\s[;#]", text) or text != text.strip() or "%(here)s" in text:
        raise ConfigError(
            f"{what}={text!r}: Supervisor takes what follows a space and ; or # for a comment, "
            "drops spaces at the ends, and replaces %(here)s. Use another path."
        )
    return text.replace("%", "%%")
