"""Open paths below a directory that somebody else may be changing: no link leads out of it."""

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_OPENAT2 = 437
_NO_XDEV = 0x01
_NO_MAGICLINKS = 0x02
_NO_SYMLINKS = 0x04
_BENEATH = 0x08

_libc = ctypes.CDLL(None, use_errno=True)


def open_beneath(root: int, path: str, flags: int, *, mode: int = 0) -> int:
    """Open ``path`` below the directory ``root``; a symbolic link anywhere in it is an error.

    Other mounts below ``root`` are not entered. ``path`` may be ``""`` for the root itself.
    """
    resolve = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS | _NO_XDEV
    how = struct.pack("QQQ", flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode, resolve)
    name = os.fsencode(path) or b"."
    number = errno.EAGAIN
    # The kernel asks for a retry when a rename raced with its check that we are still beneath.
    for _ in range(16):
        found: int = _libc.syscall(_OPENAT2, root, name, how, len(how))
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(number, os.strerror(number), path)


@contextmanager
def directory(root: int, path: str) -> Iterator[int]:
    """A descriptor of the directory ``path`` below ``root``, closed at the end."""
    descriptor = open_beneath(root, path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def entry(directory: int, name: str) -> os.stat_result | None:
    """What ``name`` in ``directory`` is, without following it; None where there is nothing."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_special(mode: int) -> bool:
    """Whether this is a socket, a fifo or a device node."""
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))
