"""`tabur make:job`: a new job from a template that runs as it stands."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from tabur.cli.group import Command, Session
from tabur.cli.printing import info
from tabur.errors import ConfigError
from tabur.worker.load import find_app

_CLASS = '''"""{name}: what it does, in one line."""

from __future__ import annotations

from tabur import Job, JobContext

from {module} import {imported}


@{object}.register
class {name}(Job[int], queue="default", tries=3, backoff=[30, 60, 120]):
    """Fields are what is dispatched: {name}(limit=10).dispatch()"""

    limit: int = 3

    def handle(self, ctx: JobContext) -> int:
        """Runs in a worker. What it raises is tried again; what it returns is the result."""
        done = 0
        for _ in ctx.track(range(self.limit), unit="items"):
            done += 1
        return done

    def failed(self, ctx: JobContext, error: BaseException) -> None:
        """Called once, when it has failed for good."""
'''

_FUNCTION = '''"""{name}: what it does, in one line."""

from __future__ import annotations

from tabur import JobContext

from {module} import {imported}


@{object}.job(queue="default", tries=3, backoff=[30, 60, 120])
def {name}(ctx: JobContext, limit: int = 3) -> int:
    """Runs in a worker: {name}.dispatch(limit=10). What it raises is tried again."""
    done = 0
    for _ in ctx.track(range(limit), unit="items"):
        done += 1
    return done
'''


@click.command("make:job", cls=Command)
@click.argument("name")
@click.option("--class", "kind", flag_value="class", default="class", help="A class. [default]")
@click.option("--function", "kind", flag_value="function", help="A function.")
@click.option(
    "--path",
    "folder",
    type=click.Path(path_type=Path),
    help="The folder. [jobs/ beside the app's module]",
)
@click.pass_obj
def job(session: Session, name: str, kind: str, folder: Path | None) -> None:
    """Write a new job from a template: SendInvoice, or billing/SendInvoice.

    What is there is never overwritten.
    """
    *inside, last = name.replace("\\", "/").strip("/").split("/")
    for part in (*inside, last):
        if not part.isidentifier() or keyword.iskeyword(part) or not part.isascii():
            raise click.UsageError(f"{part!r} is no name for Python; write one like SendInvoice.")
    module, _, obj = find_app(session.app).partition(":")
    app_file, root = _find(module)
    target = (folder or app_file.parent / "jobs").joinpath(*inside) / f"{_snake(last)}.py"
    chosen = _camel(last) if kind == "class" else _snake(last)
    template = _CLASS if kind == "class" else _FUNCTION
    text = template.format(name=chosen, module=module, object=obj, imported=obj.partition(".")[0])
    try:
        made = not target.parent.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        if made:
            (target.parent / "__init__.py").write_text('"""Background jobs."""\n', "utf-8")
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.ClickException(
            f"{target} is there already, and is left as it is. Choose another name."
        ) from None
    except OSError as error:
        raise click.ClickException(f"{target} cannot be written: {error.strerror}.") from None
    info(f"Job [{_relative(target, Path.cwd())}] created.")
    if (line := _import_line(target, root)) is not None:
        click.echo(f"  Make it known: add this at the end of {_relative(app_file, Path.cwd())}:")
        click.echo(f"    {line}")


def _find(module: str) -> tuple[Path, Path]:
    """The app's file and the folder it is imported from, found without running any of it."""
    parts = module.split(".")
    for root in (Path.cwd(), Path.cwd() / "src"):
        for file in (
            root.joinpath(*parts).with_suffix(".py"),
            root.joinpath(*parts) / "__init__.py",
        ):
            if file.is_file():
                return file, root
    raise ConfigError(
        f"--app {module}: there is no such module in {Path.cwd()} or its src/. "
        "Start the command in the project's folder."
    )


def _import_line(file: Path, root: Path) -> str | None:
    """How the app imports the new file; None where it lies elsewhere. `import jobs.mail` would
    bind the name `jobs`, which is likely to be the Tabur object's."""
    try:
        *package, name = file.absolute().with_suffix("").relative_to(root.absolute()).parts
    except ValueError:
        return None
    if not all(part.isidentifier() for part in package):
        return None
    return f"from {'.'.join(package)} import {name}" if package else f"import {name}"


def _relative(file: Path, to: Path) -> Path:
    try:
        return file.absolute().relative_to(to)
    except ValueError:
        return file


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
