"""`tabur tinker`: scripts, and the shell in a terminal of its own."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.cli.project import Project
from tests.cli.terminal import Terminal


def test_a_script_by_option(project: Project) -> None:
    done = project.run("tinker", "-c", "print(greet.dispatch(name='Ada').status().state)")
    assert done.stdout == "pending\n"
    done = project.run("tinker", "-c", "print(dispatch('send', to='x').id, app is jobs)")
    job_id, same = done.stdout.split()
    assert same == "True"
    assert project.json("queue:monitor", "mail")[0]["pending"] == 1
    project.work()
    assert project.json("queue:failed")[0]["id"] == job_id


def test_a_script_by_standard_input(project: Project) -> None:
    script = "for name in 'ab':\n    print(dispatch(greet, name).status().state.value)\n"
    assert project.run("tinker", given=script).stdout == "pending\npending\n"


def test_await_at_the_top_level(project: Project) -> None:
    script = "handle = await greet(name='Ada').dispatch_async()\nprint(handle.status().state)"
    assert project.run("tinker", "-c", script).stdout == "pending\n"


def test_errors(project: Project) -> None:
    done = project.run("tinker", "-c", "x = 1\n1 / 0", code=1)
    assert "ZeroDivisionError" in done.stderr
    assert 'File "<tinker>", line 2' in done.stderr
    assert "tinker.py" not in done.stderr
    assert "SyntaxError" in project.run("tinker", "-c", "1 +", code=1).stderr
    assert (
        "No job is called 'nope'" in project.run("tinker", "-c", "dispatch('nope')", code=1).stderr
    )
    project.run("tinker", "-c", "raise SystemExit(3)", code=3)
    assert "there is no module" in project.error("tinker", "--app=nowhere:jobs", "-c", "1")


@pytest.fixture(params=[(), ("--plain",)], ids=["ipython", "plain"])
def shell(request: pytest.FixtureRequest, project: Project) -> Iterator[Terminal]:
    if not request.param and find_spec("IPython") is None:
        pytest.skip("IPython is not installed")
    terminal = Terminal(project, "tinker", *request.param)
    yield terminal
    terminal.close()


def test_the_shell(shell: Terminal, project: Project) -> None:
    shell.shows("Tabur on [database]: app, dispatch, greet, jobs, send")
    shell.shows(">>> " if plain(shell) else "In [1]:")
    shell.types("print('state:' + dispatch(greet, name='Ada').status().state)\n")
    shell.shows("state:pending")
    shell.shows(">>> " if plain(shell) else "In [2]:")
    shell.types("\x04" if plain(shell) else "exit\n")  # Ctrl-D; IPython's is of no dumb terminal
    assert shell.process.wait(30) == 0
    assert project.json("queue:monitor", "default")[0]["pending"] == 1


def test_the_tab_key_completes(shell: Terminal) -> None:
    if not plain(shell):
        pytest.skip("IPython's own affair; in a dumb terminal it completes nothing")
    shell.shows(">>> ")
    shell.types("print('it is', gre\t")  # greet( with its bracket: it can be called
    shell.types("name='x').definition.name)\n")
    shell.shows("it is greet")


def plain(shell: Terminal) -> bool:
    return "--plain" in list(shell.process.args)  # type: ignore[arg-type]  # a list of words
