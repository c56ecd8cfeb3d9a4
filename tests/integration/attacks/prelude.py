"""Attacks, one function each: tried as a tool in every profile, and bare by the twins.

Shipped as source, all files in one. A function raises OSError where it was stopped and returns
where it was not; one that turns its process into another program lets that leave a canary.
"""

import ctypes
import os
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
CANARY = "/tmp/canary"
SPEAK = f"open({CANARY!r}, 'w').write('ran')"
USUAL_DEVICES = (
    "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero console"
)


def call(number: int, *arguments: Any) -> int:
    result: int = LIBC.syscall(
        ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)
    )
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def others() -> list[int]:
    """Every other process that can be seen."""
    return [
        int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()
    ]
