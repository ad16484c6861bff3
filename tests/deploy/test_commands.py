"""deploy:… through the command line: what is taken from the app, what is refused, where it goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from servers.find import Missing, binary
from tabur.cli.group import tabur
from tests.cli.project import Project, make_project
from tests.deploy.readers import SupervisorReader

AS = ["--user=nobody"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Jobs on the queues `mail` and `default`."""
    monkeypatch.setenv("TABUR_KEY", "hush")
    project = make_project(tmp_path, monkeypatch)
    yield project
    project.close()


def named(text: str, name: str) -> str:
    """The value of `name=`, which stands there once."""
    (value,) = [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{name}=")]
    return value


def test_supervisor(shop: Project, supervisor_reader: SupervisorReader) -> None:
    text = shop.run("deploy:supervisor", *AS, "--processes=2", "--", "--grace=90").stdout
    programs = supervisor_reader.read(text)
    assert [each["name"].rpartition("_")[2] for each in programs] == ["00", "01", "00"]
    worker, _, scheduler = programs
    executable = str(Path(sys.executable).with_name("tabur"))
    shared = [executable, "--app", f"{shop.module}:jobs"]
    assert worker["command"] == [*shared, "queue:work", "--queue=mail,default", "--grace=90"]
    assert scheduler["command"] == [*shared, "schedule:work"]
    for each in programs:
        assert each["directory"] == str(shop.folder)
        assert each["signal"] == 15
        assert each["groups"] == [True, True]
        assert each["retries"] == 1000
        assert each["user"] == 65534
    assert (worker["wait"], scheduler["wait"]) == (120, 60)
    assert "process_name=%(program_name)s_%(process_num)02d\n" in text
    assert "hush" not in text, "secrets stay where they are"


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_units_pass_systemd_s_own_check(
    shop: Project, units: Path, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    if store == "postgresql":
        monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hush@127.0.0.1/shop")
    shop.run(
        "deploy:systemd", "--user=daemon", f"--out={units}/", "--processes=4", "--", "--rest=2"
    )
    made = sorted(units.iterdir())
    assert len(made) == 2
    checked = subprocess.run(
        [binary("systemd-analyze"), "verify", "--man=no", *made],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    scheduler, worker = [each.read_text("utf-8") for each in made]
    assert named(worker, "ExecStart").endswith(
        " queue:work --queue=mail,default --rest=2 --processes=4"
    )
    assert named(worker, "EnvironmentFile") == f"-{shop.folder}/.env"
    expected = {
        "Type": "notify",
        "WatchdogSec": "60",
        "KillMode": "mixed",
        "KillSignal": "SIGTERM",
        "TimeoutStopSec": "60",
        "Restart": "always",
        "User": "daemon",
        "NoNewPrivileges": "true",
        "ProtectSystem": "full",
    }
    assert {name: named(worker, name) for name in expected} == expected
    assert ("postgresql.service" in named(worker, "After")) == (store == "postgresql")
    assert "hush" not in worker + scheduler
    assert "WatchdogSec" not in scheduler


def test_a_unit_with_a_mistake_does_not_pass(shop: Project, units: Path) -> None:
    """The check above can fail."""
    shop.run("deploy:systemd", *AS, "--executable=/nowhere/tabur", f"--out={units}/")
    checked = subprocess.run(
        [binary("systemd-analyze"), "verify", "--man=no", *sorted(units.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert "/nowhere/tabur is not executable" in checked.stderr


def test_an_app_below_usr_may_write_its_own_folder(shop: Project) -> None:
    text = shop.run(
        "deploy:systemd", *AS, "--directory=/usr/local/shop", "--executable=/usr/bin/tabur"
    ).stdout
    assert "ReadWritePaths=-/usr/local/shop/var\n" in text


def test_the_crontab_of_a_user_and_that_of_the_system(shop: Project) -> None:
    executable = Path(sys.executable).with_name("tabur")
    log = shop.folder / "var/log/schedule.log"
    line = f"cd {shop.folder} && {executable} --app {shop.module}:jobs schedule:run >> {log} 2>&1"
    system = shop.run("deploy:crontab", "--user=daemon").stdout
    assert f"\n* * * * * daemon {line}\n" in system
    assert system.startswith("# /etc/cron.d/")
    assert named(system, "PATH").startswith(f"{executable.parent}:/usr/local/sbin:")
    if os.getuid() == 0:
        os.chown(shop.folder, 65534, 65534)
    personal = shop.run("deploy:crontab").stdout
    assert f"\n* * * * * {line}\n" in personal
    assert "crontab -e" in personal


COMPOSE_STORES = {
    "postgresql://shop:hush@localhost/sales": ("postgres", "DATABASE_URL", "/sales"),
    "mariadb+pymysql://shop:hush@127.0.0.1:3306/sales": ("mariadb", "DATABASE_URL", "/sales"),
}


@pytest.mark.parametrize("url", COMPOSE_STORES)
def test_compose_with_a_database(shop: Project, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    text = shop.run("deploy:compose", *AS, "--web=uvicorn shop:app", "--processes=2").stdout
    services = compose_config(text, shop.folder)["services"]
    name, variable, path = COMPOSE_STORES[url]
    assert set(services) == {"migrate", "web", "worker", "scheduler", name}
    worker = services["worker"]
    assert worker["stop_signal"] == "SIGTERM"
    assert _seconds(worker["stop_grace_period"]) == 60
    assert worker["command"][-2:] == ["--queue=mail,default", "--processes=2"]
    assert worker["healthcheck"]["test"] == ["CMD", "tabur", "health"]
    assert worker["user"] == "65534:65534"
    assert services["web"]["command"] == ["uvicorn", "shop:app"]
    reached = services["web"]["environment"][variable]
    assert reached == f"{url.partition('://')[0]}://shop:letters@{name}{path}"
    assert services["migrate"]["depends_on"][name]["condition"] == "service_healthy"
    assert worker["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert "hush" not in text, "the password of this machine is no business of the containers'"


def test_compose_with_redis(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", "redis")
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    services = compose_config(shop.run("deploy:compose", *AS).stdout, shop.folder)["services"]
    assert set(services) == {"migrate", "worker", "scheduler", "redis"}
    assert services["worker"]["environment"]["REDIS_URL"] == "redis://:letters@redis:6379/0"
    assert "noeviction" in services["redis"]["environment"]["REDIS_OPTIONS"]
    assert "--requirepass" in services["redis"]["command"][2]


def test_compose_leaves_a_store_of_another_host_where_it_is(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hush@db.internal/shop")
    text = shop.run("deploy:compose", *AS).stdout
    assert set(yaml.safe_load(text)["services"]) == {"migrate", "worker", "scheduler"}
    assert "hush" not in text
    assert "DATABASE_URL" not in text, "it comes from .env"


def test_compose_keeps_a_file_of_sqlite_in_a_volume(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///data/jobs.sqlite3")
    text = shop.run("deploy:compose", *AS, "--directory=/srv/shop").stdout
    volumes = compose_config(text, shop.folder)["services"]["worker"]["volumes"]
    assert {str(each).replace("rw", "").rstrip(":").rpartition(":")[2] for each in volumes} == {
        "/srv/shop/var",
        "/srv/shop/data",
    }


def test_compose_finds_the_web_application(shop: Project) -> None:
    file = shop.folder / f"{shop.module}.py"
    more = "\nfrom starlette.applications import Starlette\n\nsite = Starlette()\n"
    file.write_text(file.read_text("utf-8") + more, "utf-8")
    web = yaml.safe_load(shop.run("deploy:compose", *AS).stdout)["services"]["web"]
    assert web["command"][:2] == ["uvicorn", f"{shop.module}:site"]
    assert web["ports"] == ["8000:8000"]


WINDOWS = [r"--directory=C:\my shop", r"--executable=C:\my shop\.venv\Scripts\tabur.exe"]


def test_nssm(shop: Project) -> None:
    text = shop.run("deploy:nssm", *WINDOWS, "--processes=2", "--name=shop").stdout
    assert 'nssm install shop-worker "C:\\my shop\\.venv\\Scripts\\tabur.exe"\n' in text
    for setting in (
        'AppDirectory "C:\\my shop"',
        "AppStopMethodConsole 60000",
        "AppExit Default Restart",
        "Start SERVICE_AUTO_START",
        'AppStdout "C:\\my shop\\var\\log\\shop-worker.log"',
        'ObjectName "NT AUTHORITY\\LocalService" ""',
    ):
        assert f"nssm set shop-worker {setting}\n" in text
    assert "--processes=2" in text
    assert "nssm start shop-scheduler\n" in text


def test_nssm_needs_paths_of_windows(shop: Project) -> None:
    assert "is no path of Windows" in shop.error("deploy:nssm")


EACH = ["deploy:supervisor", "deploy:systemd", "deploy:compose"]


@pytest.mark.parametrize("command", EACH)
def test_a_worker_for_each_list_of_queues(
    shop: Project, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_CONNECTIONS", "redis")
    text = shop.run(
        command, *AS, "--queue=mail", "--queue=redis:high, default", "--no-scheduler", "--name=shop"
    ).stdout
    assert "queue:work --queue=mail" in text.replace('", "', " ")
    assert "queue:work redis --queue=high,default" in text.replace('", "', " ")
    assert "worker-mail" in text
    assert "worker-redis-high" in text
    assert "schedule:work" not in text
    without = shop.run(command, *AS).stdout.replace('", "', " ")
    assert "queue:work --queue=mail,default" in without
    assert "queue:work redis --queue=default" in without


def test_workers_of_the_same_name_are_told_apart(shop: Project) -> None:
    text = shop.run("deploy:supervisor", *AS, "--queue=mail", "--queue=mail", "--name=x").stdout
    assert "[program:x-worker-mail]\n" in text
    assert "[program:x-worker-mail-2]\n" in text


@pytest.mark.parametrize("command", EACH)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--queue=redis:high"], "no connection 'redis'"),
        (["--queue="], "--queue"),
        (["--name=a b"], "letters, digits and dashes"),
        (["--user=a b"], "is no name of a user"),
        (["--", "--once"], "Leave out --once"),
        (["--", "--queue=mail"], "--queue belongs before"),
        (["--", "--processes=2"], "--processes belongs before"),
        (["--", "redis"], "Name a connection with its queues"),
        (["--", "--grace=soon"], "is no number of seconds"),
        (["--", "--colour=red"], "No such option"),
    ],
)
def test_what_cannot_be_meant_is_said(
    shop: Project, command: str, arguments: list[str], said: str
) -> None:
    assert said in _refused(command, *AS, *arguments)


def _refused(*arguments: str) -> str:
    result = CliRunner().invoke(tabur, list(arguments), prog_name="tabur")
    assert result.exit_code in (1, 2), result.output
    assert result.stdout == ""
    assert result.stderr.startswith("tabur: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("connection", ["sync", "memory"])
def test_a_connection_without_workers(
    shop: Project, connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", connection)
    assert "nothing to deploy" in shop.error("deploy:systemd", *AS)


def test_root_is_refused_unless_it_is_meant(shop: Project) -> None:
    if os.getuid() == 0:
        assert "workers need no rights of root" in shop.error("deploy:supervisor")
    for command in EACH:
        result = shop.run(command, "--user=root")
        assert "Workers will run as root" in result.stderr
    assert "user=root\n" in shop.run("deploy:supervisor", "--user=root").stdout


def test_it_runs_as_whom_the_folder_belongs_to(shop: Project) -> None:
    if os.getuid() == 0:
        os.chown(shop.folder, 65534, 65534)
    owner = shop.folder.owner()
    assert f"\nuser={owner}\n" in shop.run("deploy:supervisor").stdout


def test_a_user_that_this_machine_does_not_have(shop: Project) -> None:
    result = shop.run("deploy:systemd", "--user=no-such-user")
    assert "There is no user no-such-user on this machine." in result.stderr
    elsewhere = ["--directory=/srv/shop", "--executable=/srv/shop/.venv/bin/tabur"]
    assert shop.run("deploy:systemd", "--user=no-such-user", *elsewhere).stderr == ""


def test_a_file_is_never_overwritten_unless_it_is_meant(shop: Project) -> None:
    shop.run("deploy:supervisor", *AS, "--out=shop.conf")
    file = shop.folder / "shop.conf"
    assert file.read_text("utf-8") == shop.run("deploy:supervisor", *AS).stdout
    file.write_text("mine", "utf-8")
    assert "is there already" in shop.error("deploy:supervisor", *AS, "--out=shop.conf")
    assert file.read_text("utf-8") == "mine"
    shop.run("deploy:supervisor", *AS, "--out=shop.conf", "--force")
    assert file.read_text("utf-8") != "mine"


def test_several_files_need_a_folder(shop: Project) -> None:
    assert "Name a folder: x.service/" in shop.error("deploy:systemd", *AS, "--out=x.service")
    shop.run("deploy:systemd", *AS, "--out=new/units/", "--name=shop")
    names = sorted(each.name for each in (shop.folder / "new/units").iterdir())
    assert names == ["shop-scheduler.service", "shop-worker.service"]
    # None is written where one may not be.
    (shop.folder / "new/units/shop-worker.service").unlink()
    shop.error("deploy:systemd", *AS, "--out=new/units/", "--name=shop")
    assert not (shop.folder / "new/units/shop-worker.service").exists()


def test_a_folder_that_cannot_be_written(shop: Project) -> None:
    (shop.folder / "file").touch()
    assert "cannot be written" in shop.error("deploy:supervisor", *AS, "--out=file/x/")


def test_the_environment_comes_from_a_file(shop: Project) -> None:
    (shop.folder / ".env").write_text("SECRET='a b'\n", "utf-8")
    file = f"{shop.folder}/.env"
    assert f" --env-file {file} queue:work" in shop.run("deploy:supervisor", *AS).stdout
    assert f"\nEnvironmentFile=-{file}\n" in shop.run("deploy:systemd", *AS).stdout
    (shop.folder / "other").write_text("SECRET='a b'\n", "utf-8")
    said = shop.run("--env-file=other", "deploy:supervisor", *AS).stdout
    assert f" --env-file {shop.folder}/other queue:work" in said


def test_an_environment_that_systemd_would_read_otherwise(shop: Project) -> None:
    (shop.folder / ".env").write_text("A=1\nSECRET=hush # old\n", "utf-8")
    said = shop.error("deploy:systemd", *AS)
    assert "SECRET (line 2)" in said
    assert "hush" not in said


def test_env_file_sets_what_is_not_set(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABUR_ENV")
    monkeypatch.setenv("QUEUE_CONNECTION", "database")
    (shop.folder / "settings").write_text("TABUR_ENV=staging\nQUEUE_CONNECTION=sync\n", "utf-8")
    said = shop.json("about", "--env-file=settings", code=1)
    assert (said["environment"], said["connection"]) == ("staging", "database")
    monkeypatch.delenv("TABUR_ENV")
    assert "does not exist" in shop.error("about", "--env-file=nowhere", code=2)


def compose_config(text: str, folder: Path) -> dict[str, Any]:
    """What compose makes of the file. Without compose, YAML's own reading of it, with the variables
    put in as compose does it."""
    (folder / "compose.yaml").write_text(text, "utf-8")
    passwords = dict.fromkeys(
        ("POSTGRES_PASSWORD", "MARIADB_PASSWORD", "REDIS_PASSWORD"), "letters"
    )
    (folder / ".env").write_text(
        "".join(f"{name}={each}\n" for name, each in passwords.items()), "utf-8"
    )
    try:
        command = _compose()
    except Missing:
        for name in passwords:
            text = text.replace(f"${{{name}:?write it into .env}}", "letters")
        found: dict[str, Any] = yaml.safe_load(text)
        return found
    done = subprocess.run(
        [*command, "-f", "compose.yaml", "config"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = yaml.safe_load(done.stdout)
    return read


def _compose() -> list[str]:
    docker = shutil.which("docker")
    if docker is not None:
        asked = subprocess.run([docker, "compose", "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return [docker, "compose"]
    return [str(binary("docker-compose"))]


def _seconds(span: Any) -> int:
    """`60s`, or `1m0s` as compose writes it."""
    minutes, _, seconds = str(span).rstrip("s").rpartition("m")
    return int(minutes or 0) * 60 + int(seconds or 0)


def test_the_check_of_compose_can_fail(shop: Project, require: Callable[..., None]) -> None:
    require("docker-compose")
    text = shop.run("deploy:compose", *AS).stdout
    with pytest.raises(AssertionError, match="stop_signals"):
        compose_config(text.replace("stop_signal:", "stop_signals:"), shop.folder)
