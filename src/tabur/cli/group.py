"""The group of commands; each command's module is imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from tabur.errors import TaburError

#: Section → command → (module under `tabur.cli` and the function in it, what it does). The texts
#: stand here so that `tabur --help` imports none of the modules.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Set up": {
        "about": ("about:about", "Show versions, stores, workers, and what is wrong."),
        "doctor": ("doctor:doctor", "Find what is wrong, and say what to do about it."),
        "completion": (
            "completion:completion",
            "Let the Tab key of bash, zsh or fish know the commands.",
        ),
        "dev": ("dev:dev", "Run web, worker and scheduler, anew when code changes."),
        "tinker": ("tinker:tinker", "Open a shell with the application loaded."),
        "make:job": ("make:job", "Write a new job from a template."),
        "key:generate": ("keys:generate", "Make the key for what is encrypted and signed."),
        "keys:rotate": ("keys:rotate_keys", "Bring what is sealed under the current key."),
        "migrate": ("schema:migrate", "Make Tabur's tables, or bring them up to date."),
        "setup": ("setup:setup", "Set up this machine for the app; safe to repeat."),
    },
    "Workers": {
        "queue:work": ("work:work", "Run jobs until stopped."),
        "queue:listen": ("dev:listen", "Run a worker, anew when code changes."),
        "queue:restart": ("queues:restart", "Let the workers stop after what they run."),
        "health": ("health:health", "Tell whether this host's workers are well, for probes."),
        "queue:hold": ("pausing:hold", "Let no worker take any job, as after a restore."),
        "queue:release-hold": ("pausing:release_hold", "End the hold."),
    },
    "Horizon": {
        "horizon": ("horizon:horizon", "Work all queues, each with the processes that it needs."),
        "horizon:status": ("horizon:status", "Tell whether workers run, and on which queues."),
        "horizon:supervisors": ("horizon:list_supervisors", "List the supervisors of all hosts."),
        "horizon:pause": ("horizon:pause", "Let workers take nothing from any queue."),
        "horizon:continue": ("horizon:resume", "End that."),
        "horizon:terminate": ("horizon:terminate", "Let the workers stop after what they run."),
    },
    "Queues": {
        "top": ("top:top", "Show live what works, waits, fails and is next."),
        "queue:monitor": ("queues:monitor", "Show how full queues are; fails above a limit."),
        "queue:metrics": ("metrics:metrics", "Show how many processes each queue needs."),
        "queue:pause": ("pausing:pause", "Let workers take nothing from a queue."),
        "queue:resume": ("pausing:resume", "End a pause."),
        "queue:continue": ("pausing:resume", "The same, as Laravel calls it."),
        "queue:clear": ("queues:clear", "Cancel all that waits on a queue."),
        "queue:move": ("move:move", "Move what waits to another connection."),
        "queue:erase": ("retention:erase", "Erase all of one tenant or person."),
        "queue:prune-completed": (
            "retention:prune_completed",
            "Remove jobs that completed long ago.",
        ),
        "queue:prune-cancelled": (
            "retention:prune_cancelled",
            "Remove jobs that were cancelled long ago.",
        ),
    },
    "Schedules": {
        "schedule:work": ("scheduling:work", "Watch the schedules, and dispatch what is due."),
        "schedule:run": ("scheduling:run", "Dispatch what is due in this minute, for crontab."),
        "schedule:list": ("schedules:list_schedules", "List all schedules."),
        "schedule:next": (
            "schedules:next_ticks",
            "Show when a schedule is due next, in words too.",
        ),
        "schedule:history": ("schedules:history", "Show what became of ticks, and why."),
        "schedule:test": ("schedules:test", "Run a schedule's job here and now."),
        "schedule:pause": ("schedules:pause", "Let a schedule not be due."),
        "schedule:resume": ("schedules:resume", "End a pause."),
        "schedule:delete": ("schedules:delete", "Remove a schedule that was made at run time."),
        "schedule:interrupt": (
            "scheduling:interrupt",
            "Let the schedulers end, after a deployment.",
        ),
        "schedule:clear-cache": ("schedules:clear_cache", "Accepted: nothing is cached."),
    },
    "Alerts": {
        "alert:list": ("alerts:list_alerts", "List the rules, what fires, channels and mutes."),
        "alert:check": ("alerts:check", "Look now; fails when an alert fires."),
        "alert:test": ("alerts:test", "Send a test message by the channels."),
        "alert:mute": ("alerts:mute_rule", "Tell nobody of a rule for a while."),
        "alert:unmute": ("alerts:unmute_rule", "End a mute."),
    },
    "Failed jobs": {
        "queue:failed": ("failed:failed", "List the failed jobs."),
        "queue:failed:show": ("failed:show", "Show every attempt of a job, with its errors."),
        "queue:retry": ("failed:retry", "Run failed jobs again."),
        "queue:forget": ("failed:forget", "Remove one failed job."),
        "queue:flush": ("failed:flush", "Remove all failed jobs."),
        "queue:prune-failed": ("retention:prune_failed", "Remove jobs that failed long ago."),
    },
    "Batches": {
        "queue:batches": ("batches:batches", "List batches, chains and workflows."),
        "queue:batches:show": ("batches:show", "Show one of them, with what has failed."),
        "queue:retry-batch": ("batches:retry", "Run again what has failed in batches."),
        "queue:prune-batches": ("batches:prune", "Remove old batches."),
    },
    "Deployment": {
        "deploy:supervisor": ("deploy:to_supervisor", "Write a configuration for Supervisor."),
        "deploy:systemd": ("deploy:to_systemd", "Write units for systemd."),
        "deploy:crontab": ("deploy:to_crontab", "Write the scheduler's line for cron."),
        "deploy:compose": ("deploy:to_compose", "Write a compose file for containers."),
        "deploy:nssm": ("deploy:to_nssm", "Write a batch file for services of Windows."),
    },
}
COMMANDS = {name: place for section in SECTIONS.values() for name, (place, _) in section.items()}

INTERRUPTED = 130


@dataclass
class Session:
    """What stands before the command, or among its options."""

    app: str | None = None
    verbose: bool = False
    env_file: str | None = None

    @property
    def debug(self) -> bool:
        """Whether tracebacks are wanted."""
        return self.verbose or os.environ.get("TABUR_DEBUG", "") not in ("", "0")


class Command(click.Command):
    """A command that takes --app, --env-file and --verbose too, so that they may stand on either
    side."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [_app_option(), _env_file_option(), _verbose_option()]


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click's, without the modules of all commands."""
        texts = {name: text for section in SECTIONS.values() for name, (_, text) in section.items()}
        return [
            CompletionItem(name, help=text)
            for name, text in sorted(texts.items())
            if name.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(f"tabur.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, n=3)
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            raise click.UsageError(f"There is no command {args[0]!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl(
                    [(name.ljust(width), text) for name, (_, text) in commands.items()]
                )

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *_: Any,
        **extra: Any,
    ) -> NoReturn:
        """As click's, but that an error is one line that says what to do."""
        session = Session()
        extra |= {"standalone_mode": False, "obj": session}
        try:
            code = super().main(args, prog_name, **extra)
        except click.Abort:
            sys.exit(INTERRUPTED)
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "tabur"
            _say(error, session, f"{error.format_message()} See: {path} --help")
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _say(error, session, error.format_message())
            sys.exit(error.exit_code)
        except TaburError as error:
            _say(error, session, str(error))
            sys.exit(1)
        sys.exit(code if isinstance(code, int) else 0)


def _say(error: Exception, session: Session, text: str) -> None:
    if session.debug:
        click.echo("".join(traceback.format_exception(error.__cause__ or error)), err=True)
    click.echo(f"tabur: {' '.join(text.split())}", err=True)


def _app_option() -> click.Option:
    return click.Option(
        ["--app"],
        metavar="MODULE:NAME",
        expose_value=False,
        callback=_keep("app"),
        help="The Tabur object, such as shop.main:jobs. [TABUR_APP, or pyproject.toml]",
    )


def _env_file_option() -> click.Option:
    return click.Option(
        ["--env-file"],
        type=click.Path(exists=True, dir_okay=False, readable=True),
        metavar="FILE",
        expose_value=False,
        callback=_load_environment,
        help="Set what this .env file says; what is set already wins.",
    )


def _verbose_option() -> click.Option:
    return click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_keep("verbose"),
        help="Say more; errors with their traceback. [TABUR_DEBUG=1]",
    )


def _keep(name: str) -> Any:
    def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.find_object(Session), name, value)

    return keep


def _load_environment(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """For services, whose manager gives them no settings, and for apps that read no .env."""
    if value is None:
        return
    from dotenv import dotenv_values

    for name, text in dotenv_values(value).items():
        if text is not None:
            os.environ.setdefault(name, text)
    ctx.find_object(Session).env_file = value  # type: ignore[union-attr]  # main() made it


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"tabur {version('tabur')}")
        ctx.exit()


_SETTINGS: MutableMapping[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings=_SETTINGS,
    params=[
        _app_option(),
        _env_file_option(),
        _verbose_option(),
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_version,
            help="Show the version.",
        ),
    ],
)
@click.pass_context
def tabur(ctx: click.Context) -> None:
    """Background jobs and schedules for Python web applications.

    Each command has its own help: tabur queue:work --help
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
