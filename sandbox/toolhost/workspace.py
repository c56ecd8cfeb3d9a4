"""Paths of the workspace, opened so that nothing outside it can be reached.

The kernel resolves each path below the workspace's descriptor and refuses a ``..`` or a symbolic
link that would leave it. No string check stands in for that.
"""

import errno
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from .beneath import open_beneath
from .context import Context
from .errors import BadArguments, CallFailed, NotFound
from .settings import WORKSPACE

MAX_FILE = 16 * 1024 * 1024
"""Largest file that the file tools read or write whole."""

_REASONS = {
    errno.ENOENT: "does not exist",
    errno.EXDEV: "leads out of the workspace",
    errno.ELOOP: "goes through too many symbolic links",
    errno.ENOTDIR: "goes through something that is not a folder",
    errno.EISDIR: "is a folder",
    errno.EACCES: "may not be read or written by this sandbox",
    errno.EPERM: "may not be changed in this sandbox",
    errno.EROFS: "is read-only here",
    errno.ENOSPC: "does not fit: the disk is full",
    errno.EFBIG: "would be larger than a file may be",
    errno.ENXIO: "is not a regular file",
    errno.EEXIST: "exists already",
    errno.ENAMETOOLONG: "has a name that is too long",
    errno.ENOTEMPTY: "is not empty",
}


class Entry(NamedTuple):
    """One name in the workspace."""

    path: str
    is_folder: bool
    is_file: bool


class Workspace:
    """The mounted folder of this sandbox."""

    def __init__(self, context: Context) -> None:
        if context.settings.workspace == "none":
            raise CallFailed("no workspace is mounted in this sandbox")
        self.root = os.open(WORKSPACE, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int, mode: int = 0) -> int:
        """Open a path below the workspace; errors say what is wrong with it."""
        try:
            if not flags & os.O_PATH:
                # Never wait for the other end of a fifo, never take over a terminal.
                flags |= os.O_NONBLOCK | os.O_NOCTTY
            return open_beneath(self.root, _relative(path), flags, mode)
        except OSError as error:
            raise explain(path, error) from None

    def open_file(self, path: str, flags: int = os.O_RDONLY, mode: int = 0o666) -> int:
        """Open a regular file."""
        fd = self.open(path, flags, mode if flags & os.O_CREAT else 0)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            kind = "is a folder" if flags == os.O_RDONLY else "is not a regular file"
            raise CallFailed(f"{path!r} {kind}")
        return fd

    def read(self, path: str) -> bytes:
        """The whole content of a regular file."""
        with os.fdopen(self.open_file(path), "rb") as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise CallFailed(f"{path!r} is larger than {MAX_FILE} bytes")
        return data

    def read_text(self, path: str) -> str:
        """The content of a text file."""
        data = self.read(path)
        if b"\0" in data:
            raise CallFailed(f"{path!r} is a binary file of {len(data)} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise CallFailed(
                f"{path!r} is not UTF-8 text (byte {error.start} of {len(data)})"
            ) from None

    def write(self, path: str, data: bytes) -> None:
        """Give a file new content, making it and its folders where they do not exist."""
        self._make_folders(os.path.dirname(_relative(path)))
        try:
            with os.fdopen(self.open_file(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
                file.truncate(0)
                file.write(data)
        except OSError as error:
            raise explain(path, error) from None

    def walk(self, path: str, recursive: bool = True) -> Iterator[Entry]:
        """What lies below a folder, in order. Symbolic links are named, never followed."""
        folder = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        prefix = _relative(path)
        yield from _walk(folder, "" if prefix == "." else prefix.rstrip("/") + "/", recursive)

    def _make_folders(self, folder: str) -> None:
        at = ""
        for part in folder.split("/"):
            if part in ("", "."):
                continue
            above, at = at or ".", f"{at}/{part}" if at else part
            parent = self.open(above, os.O_PATH | os.O_DIRECTORY)
            try:
                os.mkdir(part, 0o777, dir_fd=parent)
            except FileExistsError:
                continue
            except OSError as error:
                raise explain(at, error) from None
            finally:
                os.close(parent)


def _walk(folder: int, prefix: str, recursive: bool) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise _too_deep(prefix) if error.errno == errno.EMFILE else error from None
    for entry in entries:
        name = entry.name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        is_folder = entry.is_dir(follow_symlinks=False)
        yield Entry(prefix + name, is_folder, entry.is_file(follow_symlinks=False))
        if is_folder and recursive:
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(entry.name, flags, dir_fd=folder)
            except OSError as error:
                if error.errno == errno.EMFILE:
                    raise _too_deep(prefix) from None
                continue  # Not readable, or replaced since: it is named, its content is not.
            yield from _walk(inner, prefix + name + "/", recursive)
    os.close(folder)


def _too_deep(prefix: str) -> CallFailed:
    """Each folder on the way down is held open, and a process may hold only so many."""
    levels = prefix.count("/")
    return CallFailed(f"folders are nested too deep ({levels} levels); name one further down")


def explain(path: str, error: OSError) -> CallFailed:
    """The error as a person would say it."""
    reason = _REASONS.get(error.errno or 0, os.strerror(error.errno or 0))
    kind = NotFound if error.errno == errno.ENOENT else CallFailed
    return kind(f"{path!r} {reason}")


def _relative(path: str) -> str:
    """Tools speak of ``src/a.py``; ``/workspace/src/a.py`` means the same."""
    if "\0" in path:
        raise BadArguments("a path cannot hold a NUL character")
    if path == WORKSPACE or path.startswith(WORKSPACE + "/"):
        path = path[len(WORKSPACE) :].lstrip("/")
    return path or "."
