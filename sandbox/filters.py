"""The seccomp filters of a process as the kernel holds them, read back through ptrace.

The kernel tells root alone (CAP_SYS_ADMIN), only where it was built to (CONFIG_CHECKPOINT_RESTORE),
and only a process that is under no filter itself. It takes some 50 microseconds a thread, during
which that thread stands still.
"""

import ctypes
import errno
import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trilemma.errors import SandboxError

Programs = tuple[bytes, ...]
"""The filters of one thread, the oldest first: each a classic BPF program."""

_SEIZE, _INTERRUPT, _DETACH, _GET_FILTER = 0x4206, 0x4207, 17, 0x420C
_WALL = 0x40000000
_INSTRUCTION = 8
_SECONDS = 5.0
_UNTOLD = frozenset({errno.EPERM, errno.EACCES, errno.EINVAL, errno.EIO, errno.ENOSYS})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long


def read_all(processes: Iterable[int]) -> dict[int, Programs] | None:
    """The filters of every thread of these processes; None where the kernel does not tell.

    Raises:
        SandboxError: a thread does not stand still to be looked at.

    """
    if os.geteuid() != 0:
        return None
    found = {}
    try:
        for thread in _threads(processes):
            try:
                found[thread] = read(thread)
            except ProcessLookupError:
                continue  # It ended meanwhile.
    except OSError as exc:
        if exc.errno in _UNTOLD:
            return None
        raise
    return found


def read(thread: int) -> Programs:
    """The filters of one thread."""
    programs: list[bytes] = []
    with _standing_still(thread):
        while (length := _length(thread, len(programs))) is not None:
            program = ctypes.create_string_buffer(length * _INSTRUCTION)
            _ptrace(_GET_FILTER, thread, len(programs), program)
            programs.append(program.raw)
    return tuple(programs)


def _threads(processes: Iterable[int]) -> Iterator[int]:
    for process in processes:
        try:
            yield from map(int, os.listdir(Path("/proc") / str(process) / "task"))
        except (FileNotFoundError, ProcessLookupError):
            continue


def _length(thread: int, index: int) -> int | None:
    try:
        return _ptrace(_GET_FILTER, thread, index)
    except FileNotFoundError:  # There is no such filter: the last one was read.
        return None


@contextmanager
def _standing_still(thread: int) -> Iterator[None]:
    """Stop a thread without a signal that it could notice."""
    _ptrace(_SEIZE, thread)
    pending = 0
    try:
        _ptrace(_INTERRUPT, thread)
        pending = _wait(thread)
        yield
    finally:
        # One that has ended, or never stood still, cannot be let go; its container ends as well.
        with suppress(ProcessLookupError):
            _ptrace(_DETACH, thread, 0, pending)


def _wait(thread: int) -> int:
    """Wait until it stands still; a signal that stopped it just then is to be delivered."""
    deadline = time.monotonic() + _SECONDS
    while True:
        found, status = os.waitpid(thread, os.WNOHANG | _WALL)
        if found:
            break
        if time.monotonic() > deadline:
            raise SandboxError(f"process {thread} of the sandbox does not stop to be looked at")
        time.sleep(0)
    if not os.WIFSTOPPED(status):
        raise ProcessLookupError(errno.ESRCH, "it ended")
    number = os.WSTOPSIG(status)
    return 0 if status >> 16 or number == signal.SIGTRAP else number


def _ptrace(
    request: int, thread: int, address: int = 0, data: int | ctypes.Array[ctypes.c_char] = 0
) -> int:
    given = ctypes.c_void_p(data) if isinstance(data, int) else data
    result: int = _libc.ptrace(
        ctypes.c_long(request), ctypes.c_long(thread), ctypes.c_void_p(address), given
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"ptrace {request:#x} of {thread}: {os.strerror(code)}")
    return result
