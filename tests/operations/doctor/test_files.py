"""Folders and log files that those who work cannot write; disks that are full."""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tabur.operations.doctor import files
from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting

NOBODY = pwd.getpwnam("nobody")
root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: files of several users")


@pytest.fixture
def place(project: Project) -> Path:
    """The project's folder, which everybody may enter."""
    for folder in (project.folder, *project.folder.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    return project.folder


@root
def test_folders_that_belong_to_somebody_else(place: Path, doctor: Ask) -> None:
    """As after a deployment by root: what workers run as cannot write there."""
    (place / "var").mkdir()
    found = doctor("--user=nobody")["folder-unwritable"]
    assert found["level"] == "error"
    assert "nobody" in found["what"]
    assert "belongs to root" in found["what"]
    assert found["todo"].startswith(("chown -R nobody ", "mkdir -p "))
    for each in (place, *place.iterdir()):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    assert "folder-unwritable" not in doctor("--user=nobody")
    assert "folder-unwritable" not in doctor("--user=root")


@root
@pytest.mark.parametrize("setting_", ["TABUR_ATTACHMENTS", "TABUR_RUN", "DATABASE_URL"])
def test_each_folder_is_looked_at(
    setting_: str, place: Path, project: Project, doctor: Ask, setting: Setting
) -> None:
    for each in (place, *place.iterdir()):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    closed = place / "closed"
    closed.mkdir(mode=0o755)
    inside = closed / "inside"
    setting(
        setting_, f"sqlite:///{inside}/x.sqlite3" if setting_ == "DATABASE_URL" else str(inside)
    )
    found = doctor("--user=nobody")["folder-unwritable"]
    assert setting_ in found["what"]
    assert f"cannot make it in {closed}" in found["what"]
    assert found["level"] == ("warning" if setting_ == "TABUR_RUN" else "error")


@root
def test_a_database_file_that_root_has_made(place: Path, doctor: Ask) -> None:
    os.chown(place, NOBODY.pw_uid, NOBODY.pw_gid)
    found = doctor("--user=nobody")["folder-unwritable"]
    assert "jobs.sqlite3 cannot be written by nobody" in found["what"]


@root
def test_log_files(place: Path, doctor: Ask) -> None:
    """Those that are named, those in var/log, and those of the app's own logging."""
    for each in (place, *place.iterdir()):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    assert "log-unwritable" not in doctor("--user=nobody", "--log=worker.log")
    log = place / "worker.log"
    log.touch()
    found = doctor("--user=nobody", "--log=worker.log")["log-unwritable"]
    assert found["level"] == "error"
    assert "worker.log cannot be written by nobody (it belongs to root, mode 644)" in found["what"]
    assert found["todo"] == "chown -R nobody worker.log"
    assert (
        "cannot make it in"
        in doctor("--user=nobody", "--log=/etc/tabur/x.log")["log-unwritable"]["what"]
    )
    log.unlink()
    folder = place / "var" / "log"
    folder.mkdir(parents=True)
    for each in (place / "var", folder):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    assert "log-unwritable" not in doctor("--user=nobody")
    (folder / "worker-00.log").touch()
    assert "worker-00.log" in doctor("--user=nobody")["log-unwritable"]["what"]
    (folder / "worker-00.log").unlink()
    handler = logging.FileHandler(place / "app.log")
    logging.getLogger("shop.orders").addHandler(handler)
    try:
        assert "app.log" in doctor("--user=nobody")["log-unwritable"]["what"]
    finally:
        logging.getLogger("shop.orders").removeHandler(handler)
        handler.close()


@root
def test_whom_the_workers_run_as_is_found_out(place: Path, doctor: Ask) -> None:
    """A supervisor of nobody's runs, and root has made a log file."""
    for each in (place, *place.iterdir()):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    (place / "worker.log").touch()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(NOBODY.pw_uid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert supervisor.stdout is not None
        assert supervisor.stdout.readline() == b"there\n"
        found = doctor("--log=worker.log")["log-unwritable"]
        assert "worker.log cannot be written by nobody" in found["what"]
    finally:
        supervisor.communicate()
    assert "log-unwritable" not in doctor("--log=worker.log")  # it is root who asks


#: What a supervisor leaves while it works. (Nobody could not start this Python, which may be
#: root's, nor load any more of it: so it becomes nobody when all is done.)
SUPERVISOR = """
import os, sys
from pathlib import Path
from tabur.worker.supervision.folder import About, RunFolder
folder = RunFolder(Path("var/run"), About(os.getpid(), "shop:jobs", "database", ("default",), 1, 1))
os.setgroups([])
os.setuid(int(sys.argv[1]))
print("there", flush=True)
sys.stdin.read()
"""


def test_what_everybody_may_write(project: Project, doctor: Ask) -> None:
    (project.folder / "jobs.sqlite3").chmod(0o666)
    found = doctor()["open-to-all"]
    assert "jobs.sqlite3 may be written by every user" in found["what"]
    assert found["todo"].startswith("chmod o-w ")


def test_a_user_that_is_not_there(project: Project) -> None:
    assert "There is no user 'nemo'" in project.error("doctor", "--user=nemo", code=2)


@root
def test_disks_that_are_full(
    project: Project, doctor: Ask, setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk in memory of 60 MB. (One that is not full would have to be of the size of this
    machine's memory: to see what comes before, that limit is lower than in earnest.)"""
    disk = project.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60M,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine mounts nothing")
    try:
        setting("TABUR_ATTACHMENTS", str(disk))
        assert str(disk) in doctor()["disk-full"]["what"]
        monkeypatch.setattr(files, "FULL", 1_000_000)
        assert not {name for name in doctor() if name.startswith("disk")}
        (disk / "taken").write_bytes(bytes(56 * 1_048_576))
        found = doctor()["disk-nearly-full"]
        assert found["level"] == "warning"
        assert "has 4 MB left of 63" in found["what"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_what_cannot_be_looked_at_ends_nothing(project: Project, setting: Setting) -> None:
    setting("TABUR_ATTACHMENTS", "x" * 300)  # longer than any name may be
    project.close()
    told = project.json("doctor", code=1)
    (found,) = [
        each
        for check in told["checks"]
        for each in check["findings"][:1]
        if check["check"] == "files and folders"
    ]
    assert found["name"] == "check-failed"
    assert "File name too long" in found["what"]
    assert [each["check"] for each in told["checks"]][-1] == "disk"
