"""Whatever stands in a path, a queue or a setting comes out of each file as it went in."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from tabur.deploy import crontab, nssm, supervisor, systemd
from tabur.deploy.compose import compose
from tabur.deploy.envfile import line, read, unlike
from tabur.deploy.plan import Plan
from tabur.errors import ConfigError
from tests.deploy.plans import plan
from tests.deploy.readers import (
    SupervisorReader,
    read_unit,
    words_of_batch,
    words_of_cron,
    words_of_unit,
    words_of_windows,
)

ODD = st.text(
    st.one_of(
        st.sampled_from(list(" '\"%$\\;#&|<>^()!*?[]{}~`=,:@-")),
        st.characters(min_codepoint=33, max_codepoint=0x24F),
        st.sampled_from(list("ab0صé")),
    ),
    max_size=24,
).filter(str.isprintable)
WORDS = st.lists(ODD, min_size=1, max_size=6)
PATHS = ODD.map(lambda text: f"/srv/{text}x").filter(lambda text: "\0" not in text)
QUICK = settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # what reads them takes its time
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@example(["a ;b", "c #d", "%(here)s", "%(ENV_HOME)s", "100%", "'\"'", ""], "/srv/50% off")
@given(words=WORDS, directory=PATHS)
@settings(QUICK, max_examples=40)
@pytest.mark.timeout(180)
def test_supervisor(supervisor_reader: SupervisorReader, words: list[str], directory: str) -> None:
    made = plan(directory=directory, words=("queue:work", *words), processes=2)
    if any(each in directory for each in (" ;", " #", "%(here)s")):
        with pytest.raises(ConfigError, match="Use another path"):
            supervisor.supervisor(made)
        return
    (file,) = supervisor.supervisor(made)
    first, second = supervisor_reader.read(file.text)
    assert (first["name"], second["name"]) == ("shop-worker_00", "shop-worker_01")
    assert first["command"] == second["command"] == made.command(made.workers[0])
    assert first["directory"] == directory
    assert second["log"] == "/var/log/supervisor/shop-worker_01.log"


@example(["a b", "50%", "$HOME", "${X}", "$$", "\\", '"', "'", ";", "-", "%h", ""], "/srv/%h $x")
@given(words=WORDS, directory=PATHS)
@settings(QUICK, max_examples=25)
@pytest.mark.timeout(180)
def test_systemd(units: Path, words: list[str], directory: str) -> None:
    assume("//" not in directory and "/./" not in directory and "/../" not in directory)
    made = plan(
        directory=directory,
        executable=(f"{directory}/bin/tabur",),
        words=("queue:work", *words),
        env_file=f"{directory}/.env",
    )
    if set(directory) & set("\"'\\"):
        with pytest.raises(ConfigError, match="Put the environment elsewhere"):
            systemd.systemd(made)
        made = replace(made, executable=("/usr/bin/tabur",))
    (file,) = systemd.systemd(made)
    unit = read_unit(units, file.text)
    assert words_of_unit(unit["Command Line"]) == made.command(made.workers[0], env_file=False)
    assert unit["WorkingDirectory"] == directory
    pattern = unit["EnvironmentFile"].removeprefix("-")
    assert [pattern[at] for at in range(len(pattern)) if pattern[at] in "*?["] == [
        each for each in f"{directory}/.env" if each in "*?["
    ]


@example(["100%", "\\%", "\\\\", "a\\\\%\\", "'%'", "%", ""], "/srv/a % b")
@given(words=WORDS, directory=PATHS)
@QUICK
def test_cron(words: list[str], directory: str) -> None:
    made = plan(directory=directory, executable=("/x/tabur", *words))
    (file,) = crontab.crontab(made, system=True)
    command = file.text.splitlines()[-1].removeprefix("* * * * * nobody ")
    assert command != file.text.splitlines()[-1]
    for joins in (True, False):
        assert words_of_cron(
            command.replace(" && ", " '&&' ", 1).replace(" >> ", " '>>' ").removesuffix(" 2>&1"),
            joins_backslashes=joins,
        ) == [
            *("cd", directory, "&&", "/x/tabur", *words, "--app", "shop.main:jobs", "schedule:run"),
            *(">>", f"{directory}/var/log/schedule.log"),
        ]


@example(["a b", "50%", "%PATH%", 'say "a & b"', "\\", "a\\", 'x\\"', "^", "!", "", "a&b"])
@given(words=WORDS)
@QUICK
def test_nssm(words: list[str]) -> None:
    made = plan(
        directory=r"C:\my shop",
        executable=(r"C:\my shop\.venv\Scripts\tabur.exe",),
        words=("queue:work", *words),
    )
    (file,) = nssm.nssm(made)
    lines = file.text.split("\r\n")
    (parameters,) = [
        line.removeprefix("nssm set shop-worker AppParameters ")
        for line in lines
        if "AppParameters" in line
    ]
    (one,) = words_of_batch(parameters)
    assert words_of_windows(one) == made.command(made.workers[0])[1:]


@example(["a b", "$HOME", "${X:?}", "$$", '"', "'", "\\", ": #", "*app", ""], "/srv/a: #b")
@given(words=WORDS, directory=PATHS)
@QUICK
def test_compose(words: list[str], directory: str) -> None:
    made = plan(directory=directory, words=("queue:work", *words))
    (file,) = compose(made, user="1000:1000", web=None, variables=[])
    worker = yaml.safe_load(file.text)["services"]["worker"]
    assert all("$" not in each.replace("$$", "") for each in worker["command"]), "a variable"
    assert [each.replace("$$", "$") for each in worker["command"]] == [
        *("tabur", "--app", "shop.main:jobs", "queue:work", *words)
    ]
    assert worker["working_dir"].replace("$$", "$") == directory


GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")


@pytest.mark.skipif(not GENERATOR.exists(), reason="systemd's reader of such files is not here")
@example("a b # c")
@example("it's")
@example('say "x"')
@given(value=ODD)
@QUICK
def test_a_line_of_the_environment(tmp_path: Path, value: str) -> None:
    """Read alike by python-dotenv and by systemd's own reader, that of EnvironmentFile=."""
    if "\\" in value or "${" in value or ("'" in value and set(value) & set('"`$')):
        with pytest.raises(ConfigError, match="Choose one without"):
            line("TABUR_VALUE", value)
        return
    made = line("TABUR_VALUE", value)
    assert read(made) == {"TABUR_VALUE": value}
    assert list(unlike(made)) == []
    if value and "$" not in value:  # this reader of it also puts in variables; services' does not
        folder = tmp_path / "environment.d"
        folder.mkdir(exist_ok=True)
        (folder / "one.conf").write_text(f"BEFORE=1\n{made}\nAFTER=1\n", "utf-8")
        said = subprocess.run(
            [GENERATOR], env={"XDG_CONFIG_HOME": str(tmp_path)}, capture_output=True, check=True
        ).stdout.decode()
        assert "AFTER=1\n" in said
        shown = next(each for each in said.splitlines() if each.startswith("TABUR_VALUE="))
        assert _unshelled(shown.partition("=")[2]) == value


def _unshelled(shown: str) -> str:
    quoted = shown.startswith('"')
    return re.sub(r"\\(.)", r"\1", shown[1:-1]) if quoted else shown


@pytest.mark.parametrize(
    "text",
    [
        "export A=b",
        "A=b # why",
        "A=${B}",
        'A="${B}"',
        "A='a\\'b'",
        "A=two words",
        "# a comment \\\nA=b",
        "A: b",
        'A="two\nlines"',
    ],
)
def test_lines_that_are_read_differently_are_found(text: str) -> None:
    assert next(unlike(f"# well\nX=1\n\n{text}\nY='2 3'\n"))[0] == 4


@pytest.mark.parametrize("character", ["\n", "\r", "\0", "\x1b", "\u2028"])
@pytest.mark.parametrize("where", ["directory", "env_file", "log", "words", "executable"])
def test_line_breaks_are_refused(where: str, character: str) -> None:
    text = f"/srv/a{character}b"
    with pytest.raises(ConfigError, match="line breaks"):
        _with(where, text)


def _with(where: str, text: str) -> Plan:
    if where == "directory":
        return plan(directory=text)
    if where == "env_file":
        return plan(env_file=text)
    if where == "log":
        return plan(log=text)
    if where == "words":
        return plan(words=("queue:work", text))
    return plan(executable=(text,))


def test_a_line_that_is_too_long_for_cron() -> None:
    with pytest.raises(ConfigError, match="cron takes 990"):
        crontab.crontab(plan(directory="/srv/" + "a" * 900), system=True)


@pytest.mark.parametrize("directory", ["/srv/a ", "/srv/a\\"])
def test_paths_that_systemd_would_read_otherwise(directory: str) -> None:
    with pytest.raises(ConfigError, match="systemd would drop"):
        systemd.systemd(plan(directory=directory))
