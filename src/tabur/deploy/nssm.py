"""Windows services by NSSM (https://nssm.cc/usage), as a batch file."""

from __future__ import annotations

import re
import subprocess
from ntpath import isabs

from tabur.deploy.plan import File, Plan, Program, join
from tabur.errors import ConfigError

#: An account without rights of its own, which every Windows has.
USER = r"NT AUTHORITY\LocalService"


def nssm(plan: Plan) -> list[File]:
    """One batch file, to be run as administrator. Raises ConfigError for paths that are none on
    Windows."""
    for what, given in (("--directory", plan.directory), ("--executable", plan.executable[0])):
        if not isabs(given) or given.startswith("/"):
            raise ConfigError(
                f"{what}={given!r} is no path of Windows. Run this on the machine that is to run "
                r"the services, or name its paths: --directory=C:\shop "
                r"--executable=C:\shop\.venv\Scripts\tabur.exe"
            )
    log = plan.log or join(plan.directory, "var", "log")
    lines = [
        "@echo off",
        f"rem {plan.name}-services.bat",
        "rem Written by: tabur deploy:nssm",
        "rem Run it as administrator, with nssm.exe beside it or on PATH.",
        "setlocal DisableDelayedExpansion",
        "chcp 65001 >nul",
        "",
        f"if not exist {word(log)} mkdir {word(log)}",
        f"icacls {word(join(plan.directory, 'var'))} /grant {word(f'{plan.user}:(OI)(CI)M')} >nul",
    ]
    for program in plan.programs:
        lines += ["", *_service(plan, program, log)]
    return [File(f"{plan.name}-services.bat", "\r\n".join([*lines, ""]))]


def _service(plan: Plan, program: Program, log: str) -> list[str]:
    start, *words = plan.command(program)
    if program.processes > 1:
        words.append(f"--processes={program.processes}")
    out = join(log, f"{program.name}.log")
    settings = {
        # One text: NSSM hands it on as it is.
        "AppParameters": command_line(words),
        "AppDirectory": plan.directory,
        "DisplayName": program.name,
        "Description": program.title,
        "Start": "SERVICE_AUTO_START",
        "AppExit Default": "Restart",
        "AppRestartDelay": "2000",
        # Ctrl-C, on which a worker finishes what it runs; then so many milliseconds.
        "AppStopMethodConsole": str(program.stop_seconds * 1000),
        "AppKillProcessTree": "1",
        "AppStdout": out,
        "AppStderr": out,
        "AppRotateFiles": "1",
        "AppRotateOnline": "1",
        "AppRotateBytes": "10000000",
    }
    return [
        f"nssm install {program.name} {word(start)}",
        "if errorlevel 1 exit /b 1",
        *(f"nssm set {program.name} {name} {word(text)}" for name, text in settings.items()),
        f'nssm set {program.name} ObjectName {word(plan.user)} ""',
        f"nssm start {program.name}",
    ]


def word(text: str) -> str:
    """One word in a batch file, which two readers take apart: cmd, where `%` begins a variable and
    quotes switch the meaning of `&|<>^` off, and the program, by the rules of Microsoft's C.
    Quotes within would switch it on again, so each such character is then escaped for cmd."""
    quoted = _quoted(text)
    if '"' in text:
        quoted = re.sub(r'([()!^"<>&|])', r"^\1", quoted)
    return _percent(quoted)


def command_line(words: list[str]) -> str:
    """Words as a program of Windows is given them."""
    return subprocess.list2cmdline(words)


def _quoted(text: str) -> str:
    """In quotes unless it is plain; list2cmdline adds them only for spaces, and cmd has more that
    needs them."""
    if re.fullmatch(r"[\w.:/\\=%+-]+", text, re.ASCII):
        return text
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'


def _percent(text: str) -> str:
    return text.replace("%", "%%")
