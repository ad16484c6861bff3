"""Who reads the generated files: Supervisor's and systemd's own code; for cmd and cron their rules,
written down a second time."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from servers.find import binary

NOBODY = "65534"


class SupervisorReader:
    """Supervisor's own parser, in a process of its own."""

    def __init__(self) -> None:
        python = binary("supervisord").read_text("utf-8").splitlines()[0].removeprefix("#!")
        self._process = subprocess.Popen(
            [*python.split(), str(Path(__file__).with_name("read_supervisor.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
        )

    def read(self, text: str) -> list[dict[str, Any]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(text) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"Supervisor does not understand:\n{text}"
        found: list[dict[str, Any]] = json.loads(line)
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(20)


def read_unit(folder: Path, text: str) -> dict[str, str]:
    """The fields of a unit as systemd itself has understood them (`systemd --test`, which root may
    not run). `folder` is one that anybody may read."""
    (folder / "read.service").write_text(text, "utf-8")
    (folder / "read.service").chmod(0o644)
    user = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    said = subprocess.run(
        [*user, str(binary("systemd")), "--test", "--system", "--unit=read.service"],
        env={"SYSTEMD_UNIT_PATH": f"{folder}:", "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        check=False,
        timeout=30,
    ).stdout.decode()
    _, found, after = said.partition("-> Unit read.service:\n")
    assert found, said[-2000:]
    lines = [line.strip() for line in after.partition("\t-> Unit")[0].splitlines()]
    return dict(line.split(": ", 1) for line in reversed(lines) if ": " in line)


def words_of_unit(shown: str) -> list[str]:
    """The words of the line `Command Line`, which systemd shows quoted; variables are replaced only
    when it starts the program."""
    first, *others = [
        re.sub(r"\\(.)", r"\1", each[1:-1]) if each.startswith('"') else each
        for each in re.findall(r'"(?:[^"\\]|\\.)*"|[^\s"]+', shown)
    ]
    assert all("$" not in each.replace("$$", "") for each in others), "a variable"
    return [first, *(each.replace("$$", "$") for each in others)]


def words_of_cron(command: str, *, joins_backslashes: bool) -> list[str]:
    """What a command of a crontab is: cron's own characters first, `joins_backslashes` as Debian's
    does it and others do not; then sh."""
    backslash = r"\\(?:[%\\])" if joins_backslashes else r"\\%|\\\\"
    made, at = "", 0
    for match in re.finditer(rf"{backslash}|%", command):
        assert match.group() != "%", "cron ends the command here"
        kept = match.group()[1:] if joins_backslashes or match.group()[1] == "%" else match.group()
        made += command[at : match.start()] + kept
        at = match.end()
    return words_of_sh(made + command[at:])


def words_of_sh(command: str) -> list[str]:
    said = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True
    ).stdout
    return said.decode().split("\0")[:-1]


def words_of_batch(line: str) -> list[str]:
    """A line of a batch file, first as cmd takes it (`help cmd`, and what its `%` and `^` do), then
    as a program of Microsoft's C runtime does ("Parsing C command-line arguments")."""
    seen, quoted, at = "", False, 0
    assert "%" not in line.replace("%%", ""), "a variable"
    line = line.replace("%%", "%")
    while at < len(line):
        char = line[at]
        if char == "^" and not quoted:
            at += 1
            char = line[at]
        elif char == '"':
            quoted = not quoted
        elif char in "&|<>" and not quoted:
            raise AssertionError(f"cmd ends the command at {char}: {line}")
        seen += char
        at += 1
    return words_of_windows(seen)


def words_of_windows(line: str) -> list[str]:
    found: list[str] = []
    word, begun, quoted = "", False, False
    for match in re.finditer(r'(\\*)(")|\\+|[^\\"]', line, re.DOTALL):
        if match.group(2):
            slashes = len(match.group(1))
            word += "\\" * (slashes // 2)
            begun = True
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
        elif match.group() in " \t" and not quoted:
            if begun:
                found.append(word)
            word, begun = "", False
        else:
            word += match.group()
            begun = True
    return [*found, word] if begun else found
