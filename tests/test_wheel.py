"""What `pip install tabur` brings: no client of any server, and all that SQLite needs.

The wheel is unpacked into an environment of its own, beside what its metadata asks for without an
extra, and what those ask for: what pip would install, taken from here instead of from the network.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SHOP = """
from tabur import Tabur

jobs = Tabur.from_env()

@jobs.job()
def double(n: int) -> int:
    return n * 2

@jobs.job(isolation="process")
def double_alone(n: int) -> int:
    return n * 2
"""
RUN = """
import subprocess, sys
from shop import double, double_alone
tabur = [sys.executable, "-m", "tabur", "--app", "shop:jobs"]
subprocess.run([*tabur, "migrate"], check=True)
handles = [double.dispatch(n=21), double_alone.dispatch(n=21)]
subprocess.run([*tabur, "queue:work", "--stop-when-empty"], check=True)
assert [each.result() for each in handles] == [42, 42]
"""


class Environment:
    """A virtual environment in `folder` with the wheel and nothing but what that asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheel = _build(folder)
        venv.create(folder / "venv", with_pip=False)
        self._python = folder / "venv" / "bin" / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = folder / "venv" / "lib" / version / "site-packages"
        with ZipFile(self.wheel) as wheel:
            wheel.extractall(site)
        (metadata,) = site.glob("tabur-*.dist-info")
        self.brought = _closure(PathDistribution(metadata).requires or ())
        for name in self.brought:
            _link(name, site)
        (folder / "shop.py").write_text(SHOP, "utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._python, *arguments],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment(tmp_path_factory.mktemp("plain"))


def test_it_holds_every_file(plain: Environment) -> None:
    source = ROOT / "src" / "tabur"
    ours = {
        str(each.relative_to(source.parent))
        for each in source.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    with ZipFile(plain.wheel) as wheel:
        held = {name for name in wheel.namelist() if name.startswith("tabur/")}
    assert held == ours


def test_it_brings_no_client_of_a_server_and_runs_jobs_on_sqlite(plain: Environment) -> None:
    clients = re.compile("psycopg|asyncpg|mysql|maria|redis|valkey|starlette|pytest|hypothesis")
    assert [name for name in plain.brought if clients.search(name)] == []
    assert {"click", "msgspec", "psutil", "python-dotenv", "rich", "sqlalchemy"} <= plain.brought
    for client in ("psycopg", "pymysql", "redis"):
        assert "ModuleNotFoundError" in plain.run("-c", f"import {client}").stderr

    done = plain.run("-c", RUN, DATABASE_URL=f"sqlite:///{plain.folder}/jobs.sqlite3")

    assert done.returncode == 0, done.stdout + done.stderr
    ended = [line for line in done.stdout.splitlines() if line.endswith(" DONE")]
    assert sum("double" in line for line in ended) == 2


@pytest.mark.parametrize(
    ("extra", "settings"),
    [
        ("postgres", {"DATABASE_URL": "postgresql://shop:hush@127.0.0.1/shop"}),
        ("mysql", {"DATABASE_URL": "mysql://shop:hush@127.0.0.1/shop"}),
        ("mysql", {"DATABASE_URL": "mariadb://shop:hush@127.0.0.1/shop"}),
        ("redis", {"QUEUE_CONNECTION": "redis", "REDIS_URL": "redis://:hush@127.0.0.1/0"}),
    ],
)
def test_a_server_is_answered_by_the_name_of_its_extra(
    plain: Environment, extra: str, settings: dict[str, str]
) -> None:
    asked = plain.run("-c", "import shop; shop.double.dispatch(n=1)", **settings)
    said = plain.run("-m", "tabur", "--app", "shop:jobs", "migrate", **settings).stderr
    assert said.startswith("tabur: ")
    assert f'pip install "tabur[{extra}]"' in said
    assert said.count("\n") == 1
    assert "hush" not in said
    last = asked.stderr.splitlines()[-1]
    assert last.startswith("tabur.errors.ConfigError: ")
    assert f'pip install "tabur[{extra}]"' in last


def _build(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("tabur-*.whl")
    return wheel


def _closure(requirements: Iterable[str], extras: Iterable[str] = ()) -> set[str]:
    """The packages that pip would install for these, by their names."""
    found: set[str] = set()
    for each in map(Requirement, requirements):
        wanted = ({"extra": extra} for extra in ("", *extras))
        if each.marker is None or any(map(each.marker.evaluate, wanted)):
            found |= {each.name, *_closure(distribution(each.name).requires or (), each.extras)}
    return found


def _link(name: str, site: Path) -> None:
    installed = distribution(name)
    for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        (site / top).symlink_to(str(installed.locate_file(top)))
