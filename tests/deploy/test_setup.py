"""tabur setup: does what is missing, and the second time nothing."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.yard import Yard
from tests.docs.pages import ROOT

#: Each set-up starts the app three times.
pytestmark = pytest.mark.timeout(300)
root_alone = pytest.mark.skipif(os.getuid() != 0, reason="only root sets up things for others")


class Machine:
    """The file system that services are installed into, and `tabur setup` run for it."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.root = yard.folder.parent / f"{yard.folder.name}-root"

    def has(self, *managers: str) -> None:
        paths = {
            "supervisor": ["etc/supervisor/conf.d/", "usr/bin/supervisord"],
            "systemd": ["run/systemd/system/", "etc/systemd/system/"],
            "cron": ["etc/cron.d/", "usr/sbin/cron"],
        }
        for each in [path for manager in managers for path in paths[manager]]:
            path = self.root / each
            (path if each.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
            if not each.endswith("/"):
                path.touch()

    def setup(self, *options: str, code: int = 0, **environment: str) -> str:
        self.root.mkdir(exist_ok=True)
        user = [] if "--user" in " ".join(options) else [f"--user={self.yard.user}"]
        return self.yard.tabur(
            "setup", f"--root={self.root}", *user, *options, code=code, as_root=True, **environment
        )

    def seen(self) -> dict[str, tuple[int, int, int, bytes]]:
        """All that lies there: owner, mode, time of change, content. SQLite comes and goes."""
        return {
            str(path): (
                path.lstat().st_uid,
                path.lstat().st_mode,
                path.lstat().st_mtime_ns if path.is_file() else 0,
                path.read_bytes() if path.is_file() else b"",
            )
            for folder in (self.yard.folder, self.root)
            for path in sorted(folder.rglob("*"))
            if "__pycache__" not in path.parts and not path.name.endswith(("-wal", "-shm"))
        }

    def installed(self) -> list[str]:
        etc = self.root / "etc"
        return sorted(str(each.relative_to(etc)) for each in etc.rglob("*") if each.is_file())


@pytest.fixture
def machine(yard: Yard) -> Iterator[Machine]:
    made = Machine(yard)
    yield made
    shutil.rmtree(made.root, ignore_errors=True)


def done(said: str) -> list[str]:
    return re.findall(r"^  (.+?) \.+ DONE$", said, re.MULTILINE)


def left(said: str) -> list[str]:
    _, found, after = said.partition("  Left for you:\n")
    return [line[4:] for line in after.splitlines() if line.startswith("  - ")] if found else []


def test_from_nothing_to_jobs_that_are_worked(machine: Machine) -> None:
    yard = machine.yard
    machine.has("cron")
    before = machine.seen()
    said = machine.setup("--dry-run")
    assert done(said) == []
    assert "WOULD BE DONE" in said
    assert machine.seen() == before, "a dry run changes nothing"

    said = machine.setup()
    assert done(said) == [
        ".env: TABUR_KEY",
        *("folder var", "folder var/log", "folder var/run", "folder var/attachments"),
        *("tables of Tabur", "deploy/shop-scheduler"),
    ]
    assert "database: sqlite:///" in said
    modes = {name: _mode(yard.folder / name) for name in (".env", "var", "var/run", "var/log")}
    assert modes == {".env": 0o600, "var": 0o750, "var/run": 0o750, "var/log": 0o750}
    for name in (".env", "var", "var/log", "var/tabur.sqlite3"):
        assert (yard.folder / name).stat().st_uid == yard.uid
    yard.dispatch("quick(n=1)")
    yard.tabur("queue:work", "--queue=mail,default", "--stop-when-empty")
    assert yard.ledger() == [f"quick 1 {yard.uid}"]

    before = machine.seen()
    said = machine.setup()
    assert done(said) == []
    assert machine.seen() == before, "the second time nothing is changed"


@root_alone
def test_root_installs_services_once(machine: Machine) -> None:
    machine.has("supervisor", "systemd", "cron")
    said = machine.setup("--yes", "--processes=3", "--", "--grace=90")
    assert machine.installed() == ["supervisor/conf.d/shop.conf"], "one manager is enough"
    assert left(said) == ["supervisorctl update: On the machine itself: supervisorctl update"]
    written = sorted(each.name for each in (machine.yard.folder / "deploy").iterdir())
    assert written == [
        *("shop-scheduler", "shop-scheduler.service", "shop-worker.service", "shop.conf")
    ]
    text = (machine.root / "etc/supervisor/conf.d/shop.conf").read_text("utf-8")
    assert "numprocs=3\n" in text
    assert "stopwaitsecs=120\n" in text
    assert f"user={machine.yard.user}\n" in text
    assert f"command={machine.yard.executable} --app shop.main:jobs --env-file " in text
    assert _mode(machine.root / "etc/supervisor/conf.d/shop.conf") == 0o644

    before = machine.seen()
    said = machine.setup("--yes", "--processes=3", "--", "--grace=90")
    assert (done(said), left(said)) == ([], [])
    assert "All is done." in said
    assert machine.seen() == before


@root_alone
def test_the_page_shows_what_is_said(machine: Machine) -> None:
    """docs/deployment.md, but for the folder, the user, and that Supervisor is told elsewhere."""
    page = (ROOT / "docs/deployment.md").read_text("utf-8")
    _, found, after = page.partition("$ sudo tabur setup --yes --user shop\n")
    shown = after.partition("```")[0].splitlines()
    assert found
    machine.has("supervisor")
    said = machine.setup("--yes")
    said = said.replace(str(machine.root), "").replace(str(machine.yard.folder), "/srv/shop")
    said = said.replace(f"for {machine.yard.user}", "for shop")
    lines = [_shape(line) for line in said.splitlines() if line.strip()]
    told = [_shape(line) for line in shown]
    assert told[-2:] == ["supervisorctl update ... DONE", "All is done."]
    assert lines[: len(told) - 2] == told[:-2]
    assert lines[len(told) - 2] == "supervisorctl update ... LEFT FOR YOU"


def _shape(line: str) -> str:
    return re.sub(r" \.{3,} ", " ... ", line.strip())


@root_alone
@pytest.mark.parametrize(
    ("manager", "files"),
    [
        (
            "systemd",
            ["systemd/system/shop-scheduler.service", "systemd/system/shop-worker.service"],
        ),
        ("cron", ["cron.d/shop-scheduler"]),
    ],
)
def test_another_manager_may_be_chosen(machine: Machine, manager: str, files: list[str]) -> None:
    machine.has("supervisor", "systemd", "cron")
    said = machine.setup("--yes", f"--with={manager}")
    assert machine.installed() == files
    told = [each.split(":")[0] for each in left(said)]
    if manager == "cron":
        assert told == ["a worker"]
    else:
        assert told == [
            "systemctl daemon-reload",
            "systemctl enable --now shop-worker shop-scheduler",
        ]


def test_without_yes_the_commands_are_shown(machine: Machine) -> None:
    machine.has("systemd")
    (todo,) = left(machine.setup())
    for unit in ("shop-worker", "shop-scheduler"):
        file = machine.yard.folder / "deploy" / f"{unit}.service"
        assert f"sudo install -m 644 {file} /etc/systemd/system/{unit}.service && " in todo
    assert "sudo systemctl enable --now shop-worker shop-scheduler" in todo
    assert machine.installed() == []


def test_a_machine_that_runs_no_services(machine: Machine) -> None:
    (todo,) = left(machine.setup())
    assert "apt-get install supervisor" in todo
    assert not (machine.yard.folder / "deploy").exists()


def test_settings_are_kept_and_completed(machine: Machine) -> None:
    yard = machine.yard
    # No line break at the end; readable for all; a setting that the shell has too.
    yard.write(".env", "TABUR_KEY=mine\nQUEUE_CONNECTION=database").chmod(0o644)
    file = f"sqlite:///{yard.folder}/data/it's here.sqlite3"
    said = machine.setup(DATABASE_URL=file, TABUR_KEY="another", REDIS_URL="redis://127.0.0.1:1/0")
    assert done(said)[:2] == [".env: DATABASE_URL, REDIS_URL", ".env: unreadable for others"]
    assert (yard.folder / ".env").read_text("utf-8").splitlines() == [
        "TABUR_KEY=mine",
        "QUEUE_CONNECTION=database",
        f'DATABASE_URL="{file}"',
        "REDIS_URL=redis://127.0.0.1:1/0",
    ]
    assert _mode(yard.folder / ".env") == 0o640
    assert (yard.folder / "data/it's here.sqlite3").stat().st_uid == yard.uid, "services will, too"


def test_a_setting_that_no_file_can_hold(machine: Machine) -> None:
    said = machine.setup(TABUR_VERSION="a\\b")
    (todo, _) = left(said)
    assert todo.startswith("TABUR_VERSION in .env: The value of TABUR_VERSION cannot be written")


def test_a_file_that_somebody_has_changed_is_left(machine: Machine) -> None:
    machine.has("cron")
    machine.setup()
    file = machine.yard.folder / "deploy/shop-scheduler"
    written = file.read_text("utf-8")
    file.write_text("# mine\n", "utf-8")
    said = machine.setup()
    assert file.read_text("utf-8") == "# mine\n"
    assert "deploy/shop-scheduler: It is not what would be written now" in left(said)[0]
    assert done(machine.setup("--force")) == ["deploy/shop-scheduler"]
    assert file.read_text("utf-8") == written


def test_settings_that_systemd_would_read_otherwise(machine: Machine) -> None:
    machine.has("systemd")
    machine.yard.write(".env", "export SECRET=hush # the old one\n")
    said = machine.setup(code=1)
    assert "systemd would read otherwise than tabur" in said
    assert "export SECRET (line 1)" in said
    assert "hush" not in said


def test_a_store_that_cannot_be_reached(machine: Machine) -> None:
    said = machine.setup(DATABASE_URL="postgresql://shop:hush@127.0.0.1:1/shop", code=1)
    assert "hush" not in said
    assert any(line.endswith(" FAILED") for line in said.splitlines())
    assert any(each.startswith("tables of Tabur: ") for each in left(said))


def test_an_app_that_does_not_load(machine: Machine) -> None:
    machine.yard.write("shop/main.py", "raise ValueError('not today')\n")
    said = machine.setup(code=1)
    assert "tabur: shop/main.py:1: ValueError: not today" in said


def test_an_app_that_ends_the_process(machine: Machine) -> None:
    machine.yard.write("shop/main.py", "import os\nos._exit(3)\n")
    said = machine.setup(code=1 if os.getuid() == 0 else 3)
    assert os.getuid() != 0 or "ended while the app was loaded" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"QUEUE_CONNECTION": "sync"}, "nothing to deploy"),
        ({"QUEUE_CONNECTION": "mongodb"}, "is not known"),
    ],
)
def test_connections_that_need_no_worker(
    machine: Machine, setting: dict[str, str], said: str
) -> None:
    assert said in machine.setup(code=1, **setting)


def test_a_user_that_is_not_there(machine: Machine) -> None:
    said = machine.setup("--user=no-such-user", code=1)
    assert "useradd --system" in said
    assert not (machine.yard.folder / ".env").exists()


@root_alone
def test_for_root_itself_only_when_it_is_meant(machine: Machine) -> None:
    os.chown(machine.yard.folder, 0, 0)
    said = machine.yard.tabur("setup", f"--root={machine.yard.folder}", as_root=True, code=1)
    assert "Which user?" in said
    said = machine.setup("--user=root")
    assert "Workers will run as root" in said


@root_alone
def test_a_folder_of_root_that_workers_may_only_read(machine: Machine) -> None:
    yard = machine.yard
    for path in (yard.folder, yard.folder / "shop", *yard.folder.glob("shop/*")):
        os.chown(path, 0, 0)
    said = machine.setup()
    assert "FAILED" not in said
    assert (yard.folder / "var").stat().st_uid == yard.uid
    assert (yard.folder / "var/tabur.sqlite3").stat().st_uid == yard.uid
    assert (yard.folder / ".env").stat().st_uid == yard.uid
    assert done(machine.setup()) == []


@root_alone
def test_what_root_has_made_before_is_given_to_the_user(machine: Machine) -> None:
    yard = machine.yard
    yard.tabur("migrate", as_root=True)
    assert (yard.folder / "var/tabur.sqlite3").stat().st_uid == 0
    settings = yard.write(".env", "TABUR_KEY=mine\n")
    settings.chmod(0o600)
    os.chown(settings, 0, 0)
    given = done(machine.setup())
    assert given[:2] == [".env: readable for nobody", "var writable for nobody"]
    assert "var/tabur.sqlite3 writable for nobody" in given
    yard.dispatch("quick(n=1)")
    yard.tabur("queue:work", "--queue=mail", "--stop-when-empty")
    assert yard.ledger("quick")


@root_alone
def test_root_never_runs_what_belongs_to_the_user(machine: Machine) -> None:
    yard = machine.yard
    machine.has("supervisor", "cron")
    noting = "import os\nopen('who.txt', 'a').write(f'{os.getuid()} {os.geteuid()}\\n')\n"
    main = yard.folder / "shop/main.py"
    yard.write("shop/main.py", noting + main.read_text("utf-8"))
    machine.setup("--yes")
    who = (yard.folder / "who.txt").read_text("utf-8").splitlines()
    assert set(who) == {f"{yard.uid} {yard.uid}"}


@root_alone
@pytest.mark.parametrize("link", [".env", "var", "deploy"])
def test_links_of_the_user_lead_root_nowhere(
    machine: Machine, link: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("of-root") / "secret"
    secret.write_text("ROOT=1\n", "utf-8") if link == ".env" else secret.mkdir()
    secret.chmod(0o600 if link == ".env" else 0o755)
    machine.has("supervisor")
    before = secret.stat()
    (machine.yard.folder / link).symlink_to(secret)
    said = machine.setup(code=1)
    after = secret.stat()
    assert (after.st_uid, after.st_mode, after.st_mtime_ns) == (
        *(before.st_uid, before.st_mode, before.st_mtime_ns),
    ), said
    assert link == ".env" or list(secret.iterdir()) == []


@root_alone
@pytest.mark.parametrize("wanted", ["system", "code", "link"])
def test_an_app_gets_no_folder_by_saying_that_it_writes_there(
    machine: Machine, wanted: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    yard = machine.yard
    mine = tmp_path_factory.mktemp("of-root")
    (mine / "inside").mkdir()
    run = {"system": mine, "code": Path("shop"), "link": Path("var/link/inside")}[wanted]
    if wanted == "code":
        for path in (yard.folder, yard.folder / "shop", *yard.folder.glob("shop/*")):
            os.chown(path, 0, 0)
    else:
        yard.write("var/nothing", "")
        (yard.folder / "var/link").symlink_to(mine)
    machine.setup(TABUR_RUN=str(run), code=1)
    owners = {each.stat().st_uid for each in (mine, mine / "inside")}
    assert owners == {0}
    assert wanted != "code" or (yard.folder / "shop").stat().st_uid == 0


@root_alone
def test_an_app_cannot_say_whom_services_belong_to(machine: Machine) -> None:
    """What it answers comes from code of the user's, and might be anything."""
    machine.has("supervisor")
    main = machine.yard.folder / "shop/main.py"
    evil = """
import sys
from dataclasses import replace
asked = sys.modules["__main__"]
real = getattr(asked, "make_plan", None)
def lie(*words, **named):
    return replace(real(*words, **named), user="root", executable=("/bin/evil",), directory="/root")
asked.make_plan = lie
"""
    machine.yard.write("shop/main.py", main.read_text("utf-8") + evil)
    machine.setup("--yes")
    text = (machine.root / "etc/supervisor/conf.d/shop.conf").read_text("utf-8")
    assert "evil" not in text
    assert text.count(f"user={machine.yard.user}\n") == 2
    assert f"directory={machine.yard.folder}\n" in text


def test_services_for_others_are_for_root(machine: Machine) -> None:
    if machine.yard.is_root:
        said = machine.yard.tabur("setup", "--yes", f"--root={machine.yard.folder}", code=1)
        assert "which root alone may" in said
        assert "sudo" in said
        said = machine.yard.tabur("setup", "--user=root", f"--root={machine.yard.folder}", code=1)
        assert "only root may set up things for others" in said
    else:
        machine.setup("--yes", code=1)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
