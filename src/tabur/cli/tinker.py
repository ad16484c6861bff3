"""`tabur tinker`: an interactive shell with the application loaded."""

from __future__ import annotations

import ast
import asyncio
import code
import inspect
import sys
import traceback
from types import CodeType
from typing import TYPE_CHECKING, Any

import click

from tabur.cli.group import Command, Session
from tabur.cli.opening import open_at
from tabur.errors import UnknownJob
from tabur.jobs.function import FunctionJob
from tabur.jobs.job import Job
from tabur.jobs.pending import PendingJob
from tabur.worker.load import find_app

if TYPE_CHECKING:
    from tabur.app import Tabur
    from tabur.jobs.definition import JobDefinition
    from tabur.jobs.handle import JobHandle

_FILE = "<tinker>"
#: Names that are shown when it begins.
SHOWN = 12


@click.command("tinker", cls=Command)
@click.option("-c", "--code", "given", metavar="CODE", help="Run this, and no shell.")
@click.option("--plain", is_flag=True, help="Python's own shell, where IPython is installed too.")
@click.pass_obj
def tinker(session: Session, given: str | None, plain: bool) -> None:
    """Open a shell with the application loaded: app, its jobs by their names, and dispatch.

    A script comes by -c, or by standard input: tabur tinker < script.py
    """
    spec = find_app(session.app)
    app = open_at(spec)
    names = namespace(app, spec)
    try:
        if given is not None or not sys.stdin.isatty():
            run(sys.stdin.read() if given is None else given, names)
        else:
            _interact(app, names, plain=plain)
    finally:
        app.close()


def namespace(app: Tabur, spec: str) -> dict[str, Any]:
    """What a shell begins with. Where names are the same, the first counts: app and dispatch, the
    app's own name, its jobs."""
    jobs = _jobs(app)

    def dispatch(job: Any, /, *args: Any, **arguments: Any) -> JobHandle[Any]:
        """Dispatch a job, by its name or itself, with its arguments; or one that is made already.
        Raises UnknownJob."""
        if isinstance(job, str):
            if job not in jobs:
                raise UnknownJob(job)
            job = jobs[job]
        made = job if isinstance(job, PendingJob | Job) else job(*args, **arguments)
        handle: JobHandle[Any] = made.dispatch()
        return handle

    own = spec.partition(":")[2]
    usable = {name: job for name, job in jobs.items() if name.isidentifier()}
    return usable | {own: app} | {"app": app, "dispatch": dispatch}


def run(source: str, names: dict[str, Any]) -> None:
    """Run a script; `await` may stand at its top level. An error ends with its traceback and exit
    code 1."""
    try:
        compiled: CodeType = compile(
            source, _FILE, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        made = eval(compiled, names)  # noqa: S307  # it is what the user has typed
        if inspect.iscoroutine(made):
            asyncio.run(made)
    except Exception as error:
        told = traceback.TracebackException.from_exception(error)
        while told.stack and told.stack[0].filename != _FILE and len(told.stack) > 1:
            del told.stack[0]  # ours
        click.echo("".join(told.format()), err=True, nl=False)
        raise SystemExit(1) from None


def _jobs(app: Tabur) -> dict[str, Any]:
    """What declares each job, by its name: found in the modules that are loaded, for a registry
    knows the definition alone."""
    definitions = {id(each) for each in app.registry}
    found: dict[str, Any] = {}
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            definition: JobDefinition | None
            if isinstance(value, FunctionJob):
                definition = value.definition
            elif isinstance(value, type) and issubclass(value, Job):
                definition = value.__tabur_definition__
            else:
                continue
            if definition is not None and id(definition) in definitions:
                found.setdefault(definition.name, value)
    return found


def _interact(app: Tabur, names: dict[str, Any], *, plain: bool) -> None:
    shown = [name for name in sorted(names) if name not in ("app", "dispatch")]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    banner = (
        f"Tabur on [{app.connection}]: app, dispatch, {', '.join(shown[:SHOWN])}{more}\n"
        "dispatch(job, argument=…) dispatches; Ctrl-D ends."
    )
    if not plain:
        try:
            import IPython
        except ModuleNotFoundError:
            pass
        else:
            click.echo(banner)
            IPython.start_ipython(argv=["--no-banner", "--no-confirm-exit"], user_ns=names)
            return
    _complete(names)
    code.interact(banner=banner, local=names, exitmsg="")


def _complete(names: dict[str, Any]) -> None:
    """The Tab key completes names."""
    try:
        import readline
        import rlcompleter
    except ImportError:  # a Python built without it
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    uses_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if uses_libedit else "tab: complete")
