"""A cable between two network namespaces on which every frame takes its time.

    python -I -S cable.py PID NAME PID NAME SECONDS

Makes an interface of each name in the network namespace of each process, and carries frames between
them until its standard input ends. Not every kernel has netem, and few do without TAP.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import struct
import sys
from collections import deque
from time import monotonic

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
CLONE_NEWNET = 0x40000000
LONGEST_FRAME = 65_536


def interface(pid: str, name: str) -> int:
    """A new interface, as a file: it gives what is sent there, and takes what is to arrive."""
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns to process {pid}")
    os.close(namespace)
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return tap


def carry(one: int, other: int, seconds: float) -> None:
    across = {one: other, other: one}
    on_the_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        pause = max(0.0, on_the_way[0][0] - monotonic()) if on_the_way else None
        readable = select.select([0, one, other], [], [], pause)[0]
        if 0 in readable and not os.read(0, 64):
            return
        for tap in readable:
            if tap in across:
                on_the_way.append((monotonic() + seconds, across[tap], os.read(tap, LONGEST_FRAME)))
        while on_the_way and on_the_way[0][0] <= monotonic():
            _, tap, frame = on_the_way.popleft()
            try:
                os.write(tap, frame)
            except OSError:
                continue  # the link is down there: it is lost


if __name__ == "__main__":
    ends = interface(*sys.argv[1:3]), interface(*sys.argv[3:5])
    os.write(1, b"ready\n")
    carry(*ends, float(sys.argv[5]))
