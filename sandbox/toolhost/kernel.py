"""The few system calls that Python does not offer, through ctypes."""

import ctypes
import os
import struct

from .syscalls import number

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 4, 36, 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_NEW_LISTENER = 8

RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make one system call; raises OSError where the kernel refuses."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number(name)), *converted)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int) -> None:
    """One prctl with one argument."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")


def become_opaque() -> None:
    """Close this process's memory, descriptors and environment to others of the same user."""
    prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, as process 1 is."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_up_privileges() -> None:
    """No execve of this process or a child gains anything; a filter needs this first."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def install_filter(program: bytes) -> None:
    """Put a seccomp filter on this process and all its future children, for good."""
    _seccomp(0, program)


def install_listening_filter(program: bytes) -> int:
    """As :func:`install_filter`; returns the descriptor on which the filter asks."""
    return _seccomp(_SECCOMP_FILTER_FLAG_NEW_LISTENER, program)


def _seccomp(flags: int, program: bytes) -> int:
    argument = _Program(len(program) // 8, program)
    result: int = _libc.syscall(
        ctypes.c_long(number("seccomp")),
        ctypes.c_long(_SECCOMP_SET_MODE_FILTER),
        ctypes.c_long(flags),
        ctypes.byref(argument),
    )
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")
    return result


def openat2(directory: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open below a directory; the kernel itself refuses what ``resolve`` forbids."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    return syscall("openat2", directory, os.fsencode(path), how, len(how))
