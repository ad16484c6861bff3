"""`tabur completion`: what makes the Tab key of a shell know the commands."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from tabur.cli.group import Command

if TYPE_CHECKING:
    from tabur.app import Tabur

_NAMES = "names.json"
_HOW = {
    "bash": 'eval "$(tabur completion bash)"    # into ~/.bashrc',
    "zsh": 'eval "$(tabur completion zsh)"    # into ~/.zshrc, behind compinit',
    "fish": "tabur completion fish > ~/.config/fish/completions/tabur.fish",
}


class _Bash(BashComplete):
    """As click's, for commands that have a colon in their names, at which bash parts words."""

    source_template = """\
# %(prog_name)s: bash completion. To be had by: eval "$(%(prog_name)s completion bash)"
%(complete_func)s() {
    local line="${COMP_LINE:0:COMP_POINT}" words cur head reply type value
    read -ra words <<< "$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    cur="${words[${#words[@]}-1]}"
    head=""
    if [[ "$cur" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then head="${cur%%"${cur##*:}"}"; fi
    [[ "$head" == *=* ]] && head="${head##*=}"
    COMPREPLY=()
    reply=$(env COMP_WORDS="$line" COMP_CWORD=$((${#words[@]}-1)) \\
        %(complete_var)s=bash_complete "${words[0]}" 2>/dev/null)
    while IFS=',' read -r type value; do
        case "$type" in
            dir) compopt -o dirnames 2>/dev/null ;;
            file) compopt -o default 2>/dev/null ;;
            plain) COMPREPLY+=("${value#"$head"}") ;;
        esac
    done <<< "$reply"
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    @staticmethod
    def _check_version() -> None:
        """Nothing newer than bash 4.4 is needed, and to ask for it costs a process."""


_SHELLS = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes the Tab key of a shell complete commands, options and queues."""
    root = ctx.find_root().command
    click.echo(_SHELLS[shell](root, {}, "tabur", "_TABUR_COMPLETE").source(), nl=False)


completion.epilog = "\b\n" + "\n".join(_HOW.values())


def keep_names(app: Tabur) -> None:
    """Leave the names of an app's queues in its run folder: the Tab key loads no app."""
    queues = dict.fromkeys(queue for name in app.connections for queue in app.queues_of(name))
    file = app.settings.run / _NAMES
    beside = file.with_name(f".{_NAMES}.{os.getpid()}")
    with suppress(OSError):  # it is a comfort
        beside.write_bytes(msgspec.json.encode({"queues": list(queues)}))
        beside.replace(file)


def queue_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Those that the last worker here knew; behind a comma the next."""
    head, comma, begun = incomplete.rpartition(",")
    folder = Path(os.environ.get("TABUR_RUN") or _from_file() or "var/run")
    try:
        found: dict[str, Any] = msgspec.json.decode((folder / _NAMES).read_bytes())
    except (OSError, msgspec.DecodeError):
        return []
    return [
        CompletionItem(f"{head}{comma}{name}")
        for name in found.get("queues", [])
        if name.startswith(begun)
    ]


def _from_file() -> str | None:
    if not Path(".env").is_file():
        return None
    from dotenv import dotenv_values

    return dotenv_values(".env").get("TABUR_RUN")
