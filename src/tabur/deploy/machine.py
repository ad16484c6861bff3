"""What runs services on this machine, and how it is told of a new one."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tabur.deploy.crontab import crontab
from tabur.deploy.plan import File, Plan
from tabur.deploy.supervisor import supervisor
from tabur.deploy.systemd import systemd


@dataclass(frozen=True)
class Manager:
    """`reload`: the commands that let it see its files. `runs_workers`: whether it keeps a process
    running."""

    name: str
    files: tuple[File, ...]
    reload: tuple[tuple[str, ...], ...]
    runs_workers: bool = True


#: In the order in which they are chosen: who installed Supervisor wants it, and systemd is there
#: anyhow.
NAMES = ("supervisor", "systemd", "cron")


def manager(name: str, plan: Plan) -> Manager:
    """Raises ConfigError for a path that its files cannot carry."""
    if name == "supervisor":
        return Manager(name, tuple(supervisor(plan)), (("supervisorctl", "update"),))
    if name == "systemd":
        units = tuple(each.name for each in plan.programs)
        reload = (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", *units))
        return Manager(name, tuple(systemd(plan)), reload)
    return Manager(name, tuple(crontab(plan, system=True)), (), runs_workers=False)


def is_here(name: str, root: Path) -> bool:
    """`root`: of the machine's file system. systemd is where it runs, not where its programs lie,
    as they do in containers."""
    if name == "systemd":
        return (root / "run/systemd/system").is_dir()
    folder, programs = {
        "supervisor": ("etc/supervisor/conf.d", ["supervisord"]),
        "cron": ("etc/cron.d", ["cron", "crond"]),
    }[name]
    return (root / folder).is_dir() and any(_find(each, root) for each in programs)


def _find(program: str, root: Path) -> bool:
    folders = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
    return any((root / each / program).exists() for each in folders) or (
        root == Path("/") and shutil.which(program) is not None
    )
