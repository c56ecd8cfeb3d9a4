"""A folder on the host, held by what it is rather than by where it lies."""

import ctypes
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trilemma.errors import WorkspaceError

_AT_FDCWD_EMPTY = 0x1000
_BTIME = 0x800

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Folder:
    """One directory, as it was when somebody asked for it."""

    path: Path
    """Absolute, with no symbolic link in it."""
    device: int
    inode: int
    born: int
    """Birth time in nanoseconds, 0 where the file system has none: inode numbers come again."""
    uid: int
    gid: int
    mode: int

    @classmethod
    def at(cls, path: Path) -> Self:
        """The folder that ``path`` leads to now.

        Raises:
            WorkspaceError: there is no such folder, or it cannot be entered.
        """
        try:
            resolved = path.expanduser().resolve(strict=True)
            descriptor = os.open(resolved, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise WorkspaceError(f"workspace {str(path)!r} cannot be opened: {reason}") from None
        try:
            return cls._of(resolved, descriptor)
        finally:
            os.close(descriptor)

    @classmethod
    def _of(cls, path: Path, descriptor: int) -> Self:
        found = os.fstat(descriptor)
        return cls(
            path=path,
            device=found.st_dev,
            inode=found.st_ino,
            born=_birth(descriptor),
            uid=found.st_uid,
            gid=found.st_gid,
            mode=stat.S_IMODE(found.st_mode),
        )

    def open(self, flags: int = os.O_PATH) -> int:
        """A descriptor of this very folder.

        Raises:
            WorkspaceError: another folder lies there by now.
        """
        try:
            descriptor = os.open(self.path, flags | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise WorkspaceError(
                f"workspace {str(self.path)!r} cannot be opened: {error.strerror}"
            ) from None
        found = os.fstat(descriptor)
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            os.close(descriptor)
            raise WorkspaceError(f"workspace {str(self.path)!r} was replaced while it was opened")
        return descriptor


def _birth(descriptor: int) -> int:
    answer = ctypes.create_string_buffer(256)
    if _libc.statx(descriptor, b"", _AT_FDCWD_EMPTY, _BTIME, answer) != 0:
        return 0
    mask = struct.unpack_from("I", answer, 0)[0]
    # struct statx: the birth time's seconds stand at byte 80, its nanoseconds at byte 88.
    seconds, nanoseconds = struct.unpack_from("qI", answer, 80)
    return int(seconds * 1_000_000_000 + nanoseconds) if mask & _BTIME else 0
