"""The crontab of the scheduler: crontab(5)."""

from __future__ import annotations

import re
import shlex

from tabur.deploy.plan import File, Plan, scheduler
from tabur.errors import ConfigError

PLACE = "/etc/cron.d"
#: Characters; Debian's cron refuses a longer command, and the whole file with it.
LONGEST = 990


def crontab(plan: Plan, *, system: bool) -> list[File]:
    """The line that runs what is due, each minute. `system`: for /etc/cron.d, where a line names
    its user; else for the crontab of that user. Raises ConfigError."""
    log = plan.log or f"{plan.directory}/var/log"
    run = [*plan.command(scheduler(plan.name))[:-1], "schedule:run"]
    command = (
        f"cd {word(plan.directory)} && {' '.join(map(word, run))} "
        f">> {word(f'{log}/schedule.log')} 2>&1"
    )
    if len(command) > LONGEST:
        raise ConfigError(
            f"The command has {len(command)} characters, and cron takes {LONGEST}. Use shorter "
            "paths, or TABUR_APP in a file: --env-file."
        )
    place, user, hint = (
        (f"{PLACE}/{plan.name}-scheduler", f"{plan.user} ", "")
        if system
        else (
            f"crontab of {plan.user}",
            "",
            f"# Add it to the crontab of {plan.user}: crontab -e\n",
        )
    )
    text = f"""\
# {place}
# Written by: tabur deploy:crontab
{hint}SHELL=/bin/sh
PATH={_path(plan)}
* * * * * {user}{command}
"""
    return [File(place, text)]


def word(text: str) -> str:
    """One word for sh, in which cron finds neither its own line break, `%`, nor two backslashes,
    which it would make one."""
    quoted = shlex.quote(text)
    return re.sub(r"\\(?=\\)", r"\\''", quoted).replace("%", "'\\%'" if quoted[0] == "'" else "\\%")


def _path(plan: Plan) -> str:
    """Where programs are found that jobs start: those of the app's environment first. Other than in
    a shell, nothing is quoted or expanded here."""
    own = plan.executable[0].rpartition("/")[0]
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return usual if ":" in own or own != own.strip() else f"{own}:{usual}"
