"""Folders and log files that those who work cannot write; disks that are full."""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project
from tests.operations.doctor.asking import Ask
from tests.operations.doctor.conftest import Setting

NOBODY = pwd.getpwnam("nobody")
root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: files of several users")


@pytest.fixture
def place(project: Project) -> Iterator[Path]:
    """The project's folder, which everybody may enter."""
    for folder in (project.folder, *project.folder.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    yield project.folder


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
    setting(setting_, f"sqlite:///{inside}/x.sqlite3" if setting_ == "DATABASE_URL" else str(inside))
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
    assert "log-unwritable" in doctor("--user=nobody", "--log=nowhere/../../../sys/x.log")
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
def test_whom_the_workers_run_as_is_found_out(place: Path, project: Project, doctor: Ask) -> None:
    """A worker of nobody's runs, and root has made a log file."""
    from tests.worker.workshop import until

    for each in (place, *place.iterdir()):
        os.chown(each, NOBODY.pw_uid, NOBODY.pw_gid)
    (place / "worker.log").touch()
    worker = subprocess.Popen(
        [sys.executable, "-m", "tabur", "queue:work", "--queue=default,mail", "-q"],
        user=NOBODY.pw_uid,
        group=NOBODY.pw_gid,
        extra_groups=(),
        env=os.environ | {"HOME": str(place)},
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: list(project.jobs.driver.workers.list()), "a worker")
        found = doctor("--log=worker.log")
        assert "cannot be written by nobody" in found["log-unwritable"]["what"]
        assert "no-worker" not in found
    finally:
        worker.terminate()
        worker.wait(60)


def test_what_everybody_may_write(project: Project, doctor: Ask) -> None:
    (project.folder / "jobs.sqlite3").chmod(0o666)
    found = doctor()["open-to-all"]
    assert "jobs.sqlite3 may be written by every user" in found["what"]
    assert found["todo"].startswith("chmod o-w ")


def test_a_user_that_is_not_there(project: Project) -> None:
    assert "There is no user 'nemo'" in project.error("doctor", "--user=nemo", code=2)


@root
@pytest.mark.parametrize(
    ("size", "left", "name"),
    [(2_000, 1_900, None), (9_000, 800, "disk-nearly-full"), (300, 80, "disk-full")],
)
def test_a_disk_that_is_full(
    size: int, left: int, name: str | None, project: Project, doctor: Ask, setting: Setting
) -> None:
    """A disk in memory of `size` MB, of which all but `left` are taken."""
    disk = project.folder / "disk"
    disk.mkdir()
    options = f"size={size}M,mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine mounts nothing")
    try:
        setting("TABUR_ATTACHMENTS", str(disk))
        if size - left > 500:
            _hide(disk, size - left)
        else:
            (disk / "taken").write_bytes(bytes((size - left) * 1_048_576))
        found = {each: told for each, told in doctor().items() if str(disk) in told["what"]}
        assert set(found) == ({name} if name else set())
    finally:
        subprocess.run(["umount", disk], check=True)
