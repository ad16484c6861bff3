"""What deploy:crontab writes, run by Debian's cron, in a file system of its own: it sees the
machine's, but for the folders of its crontabs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from servers.find import binary
from tabur.deploy.crontab import crontab
from tests.deploy.plans import plan
from tests.deploy.yard import Yard, until

TICKING = """

@jobs.schedule.every_minute()
@jobs.job(queue="mail")
def tick() -> None:
    note("tick", os.getuid())
"""
#: Seconds until the next full minute, and what a busy machine takes beyond.
MINUTE = 150.0
_MOUNTS = """
set -e
mount --bind {folder}/cron.d /etc/cron.d
mount --bind {folder}/spool /var/spool/cron
mount --bind {folder}/run /run
exec {cron} -f
"""


class Cron:
    def __init__(self, folder: Path, *files: tuple[str, str]) -> None:
        for each in ("cron.d", "spool/crontabs", "run"):
            (folder / each).mkdir(parents=True)
        for name, text in files:
            (folder / "cron.d" / name).write_text(text, "utf-8")
            (folder / "cron.d" / name).chmod(0o644)
        script = _MOUNTS.format(folder=folder, cron=binary("cron"))
        self.process = subprocess.Popen(
            [binary("unshare"), "--mount", "sh", "-c", script],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self.process.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process.wait(20)


@pytest.fixture
def run_cron(require: Callable[..., None], tmp_path: Path) -> Iterator[Callable[..., Cron]]:
    require("cron", "unshare")
    if os.getuid() != 0:
        pytest.skip("cron runs as root")
    begun: list[Cron] = []

    def run(*files: tuple[str, str]) -> Cron:
        cron = Cron(tmp_path, *files)
        begun.append(cron)
        time.sleep(1)
        if cron.process.poll() is not None:
            assert cron.process.stderr is not None
            pytest.skip(f"no file system of its own may be made: {cron.process.stderr.read()}")
        return cron

    yield run
    for each in begun:
        each.close()


WORDS = ["50%", "a b", "'", '"', "\\", "\\%", "\\\\", "$HOME", "`id`", "* #;&", "é", "", "%%"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_cron_runs_what_is_due_and_hands_on_every_character(
    yard: Yard, run_cron: Callable[..., Cron]
) -> None:
    main = yard.folder / "shop/main.py"
    yard.write("shop/main.py", main.read_text("utf-8") + TICKING)
    yard.write(".env", "GREETING=hello\n").chmod(0o600)
    yard.tabur("setup", f"--user={yard.user}", f"--root={yard.folder}", as_root=True)
    ticking = yard.tabur("deploy:crontab", f"--user={yard.user}", as_root=True)

    odd = yard.folder / "a folder, 100% odd"
    odd.mkdir()
    yard.own(odd)
    show = yard.write("bin/show", '#!/bin/sh\nprintf \'%s\\n\' "$PWD" "$@" > words.txt\n')
    show.chmod(0o755)
    (file,) = crontab(
        plan(directory=str(odd), executable=(str(show), *WORDS), log=str(odd)), system=True
    )

    run_cron(("shop-scheduler", ticking), ("odd", file.text))
    until(lambda: yard.unfinished() > 0, "a tick", ceiling=MINUTE)
    yard.tabur("queue:work", "--queue=mail", "--stop-when-empty")
    assert set(yard.noted("tick")) == {f"tick {yard.uid}"}
    log = yard.folder / "var/log/schedule.log"
    assert log.stat().st_uid == yard.uid
    assert "tick" in log.read_text("utf-8")

    words = until(
        lambda: (odd / "words.txt").exists() and (odd / "words.txt").read_text("utf-8"), "words"
    )
    assert str(words).split("\n")[:-1] == [
        *(str(odd), *WORDS, "--app", "shop.main:jobs", "schedule:run"),
    ]
    assert (odd / "schedule.log").read_text("utf-8") == ""
