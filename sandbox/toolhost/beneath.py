"""Opening a path below a directory, never outside it."""

import errno
import os

from . import kernel

_RESOLVE = kernel.RESOLVE_BENEATH | kernel.RESOLVE_NO_MAGICLINKS


def open_beneath(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """Open ``path`` so that no ``..`` and no symbolic link leads out of ``directory``.

    Where the kernel (or a sandboxing one in its place) lacks openat2, a walk that follows no
    symbolic link at all stands in.
    """
    try:
        return kernel.openat2(directory, path, flags, mode, _RESOLVE)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return walk_beneath(directory, path, flags, mode)


def walk_beneath(directory: int, path: str, flags: int, mode: int = 0) -> int:
    """As :func:`open_beneath`, one component at a time and without any symbolic link."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    last = parts[-1] if parts else "."
    at = os.dup(directory)
    try:
        for part in parts[:-1]:
            step = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            at, above = os.open(part, step, dir_fd=at), at
            os.close(above)
        return os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=at)
    finally:
        os.close(at)
