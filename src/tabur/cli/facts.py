"""What an app says of itself, told by a process of the user's: root runs none of the app's code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from tabur.cli.deploy import make_plan
from tabur.cli.group import Session
from tabur.cli.opening import open_at
from tabur.deploy.account import Account
from tabur.deploy.setup import Facts
from tabur.errors import TaburError


class Question(msgspec.Struct, frozen=True):
    """Options as they were given to `tabur setup`."""

    spec: str
    user: str
    folder: str
    env_file: str | None
    name: str | None
    queues: Sequence[str]
    processes: int | None
    options: Sequence[str]


def ask(question: Question, account: Account) -> Facts:
    """In the name of `account`. Raises ClickException."""
    words = [sys.executable, "-m", "tabur.cli.facts", msgspec.json.encode(question).decode()]
    said = account.run(words, Path(question.folder))
    try:
        found = msgspec.json.decode(said.stdout, type=Facts | str)
    except msgspec.DecodeError as error:
        sys.stderr.write(said.stderr)
        ended = "It ended while the app was loaded."
        raise click.ClickException(
            ended if not said.stdout else f"The app says what cannot be: {error}"
        ) from None
    if isinstance(found, str):
        raise click.ClickException(found)
    return found


def answer(question: Question) -> Facts | str:
    """The facts, or what is wrong."""
    given = {
        "name": question.name,
        "queues": tuple(question.queues),
        "processes": question.processes,
        "options": tuple(question.options),
        "executable": None,
        "log": None,
    }
    try:
        app = open_at(question.spec)
        plan = make_plan(
            app,
            question.spec,
            user=question.user,
            directory=question.folder,
            session=Session(question.spec, env_file=question.env_file),
            given=given,
        )
    except click.ClickException as error:
        return error.format_message()
    except TaburError as error:
        return str(error)
    settings = app.settings
    return Facts(plan, settings.database_url, str(settings.run), str(settings.attachments))


def main() -> None:
    out = os.dup(1)
    os.dup2(2, 1)  # what the app prints when it is loaded is no answer
    told = answer(msgspec.json.decode(sys.argv[1], type=Question))
    os.write(out, msgspec.json.encode(told))


if __name__ == "__main__":
    main()
