"""Ways to the tool host and to other calls."""

import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
import time
from typing import Any

from tests.integration.attacks.prelude import LIBC, call, others


def trace(argument: str) -> None:
    call(101, 0x4206, 1, 0, 0)  # PTRACE_SEIZE: it does not stop what it attaches to


def read_memory(argument: str) -> None:
    _open_of_others("mem")


def read_environment(argument: str) -> None:
    _open_of_others("environ")


def read_descriptors(argument: str) -> None:
    _open_of_others("fd")


def read_folders(argument: str) -> None:
    _open_of_others("root/")


def _open_of_others(name: str) -> None:
    """Any other process will do: the tool host, or the child that waits for the next call."""
    refused = OSError(errno.ESRCH, "nobody is there")
    for process in others():
        try:
            os.close(os.open(f"/proc/{process}/{name}", os.O_RDONLY))
        except OSError as error:
            refused = error
        else:
            return
    raise refused


def read_across(argument: str) -> None:
    """Memory of process 1, by a call of its own."""
    ours = ctypes.create_string_buffer(8)
    near = (ctypes.c_uint64 * 2)(ctypes.addressof(ours), 8)
    far = (ctypes.c_uint64 * 2)(ctypes.cast(LIBC.getppid, ctypes.c_void_p).value or 0, 8)
    call(310, 1, near, 1, far, 1, 0)


def take_descriptor(argument: str) -> None:
    os.close(call(438, os.pidfd_open(1), 0, 0))


def hold_descriptors(argument: str) -> None:
    """A way to the gateway that is not this call's own: its peer is in no namespace of ours."""
    leading_out = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(name))) as held:
            peer = struct.unpack("3i", held.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            leading_out += peer[0] == 0
    if leading_out < 2:
        raise OSError(errno.EBADF, "only this call's")


def _status(process: int) -> list[str]:
    """State, parent, and what else follows the name."""
    with open(f"/proc/{process}/stat") as status:
        return status.read().rpartition(")")[2].split()


def _parent(process: int) -> int:
    return int(_status(process)[1])


def signal_others(argument: str) -> None:
    """Process 1 takes no signal from inside; whoever else is there may be stopped."""
    if not (found := [p for p in others() if p != 1 and _parent(p) != os.getpid()]):
        raise OSError(errno.ESRCH, "nobody is there")
    for process in found:
        os.kill(process, signal.SIGSTOP)
        os.kill(process, signal.SIGCONT)


def stop_first(argument: str) -> None:
    """Stop the process that started this one: the tool host, or who stands in its place."""
    first = os.getppid()
    os.kill(first, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 0.5
        while _status(first)[0] != "T":
            if time.monotonic() > deadline:
                raise OSError(errno.EPERM, "it goes on")
    finally:
        os.kill(first, signal.SIGCONT)


def stay_detached(argument: str) -> None:
    """A process that outlives its call: forked twice, in a session of its own."""
    _stay(lambda: os.setsid())


def stay_stopped(argument: str) -> None:
    """One that is stopped while its call ends."""
    _stay(lambda: os.kill(os.getpid(), signal.SIGSTOP))


def stay_deaf(argument: str) -> None:
    """One that takes no signal it can refuse."""
    _stay(lambda: [signal.signal(number, signal.SIG_IGN) for number in (1, 2, 3, 13, 15)])


def _stay(change: Any) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.write(writing, b"1")
            change()
            time.sleep(600)
        os._exit(0)
    os.waitpid(child, 0)
    os.read(reading, 1)


def somebody_stayed(argument: str) -> None:
    """No attack: whether an earlier call's process is there. Ours are child and grandchild of 1."""
    with contextlib.suppress(OSError):
        for process in others():
            if process != 1 and _parent(process) == 1:
                return
    raise OSError(errno.ESRCH, "nobody is there")
