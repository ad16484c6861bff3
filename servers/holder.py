"""The first process of a test host: holds its namespaces, and takes the others with it.

    unshare --net --uts --mount --pid … python -I -S holder.py NAME

Started by `servers.hosts`. It ends when its standard input does, so with whoever started it,
SIGKILL included; then the kernel ends every process of its pid namespace, and removes links and
addresses.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys


def main(name: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans come here, and are reaped by that
    socket.sethostname(name)
    # What hosts share by name in memory belongs to one host; libfaketime names it by process.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
    os.write(1, b"ready\n")
    while os.read(0, 64):
        pass


if __name__ == "__main__":
    main(sys.argv[1])
