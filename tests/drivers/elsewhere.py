"""Dispatching from another process, through a driver of its own."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode

import msgspec

from tabur.model.records import NewJob

_PROGRAM = """
import base64, sys, msgspec
from tabur.drivers.database.driver import DatabaseDriver
from tabur.model.records import NewJob
driver = DatabaseDriver(sys.argv[1])
driver.dispatching.dispatch([msgspec.msgpack.decode(base64.b64decode(sys.argv[2]), type=NewJob)])
driver.close()
"""


def dispatch_in_another_process(url: str, job: NewJob) -> None:
    encoded = b64encode(msgspec.msgpack.encode(job)).decode()
    subprocess.run([sys.executable, "-c", _PROGRAM, url, encoded], check=True)
