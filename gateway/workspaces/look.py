"""Look at entries of a folder or a layer, without following anything."""

import errno
import hashlib
import os
import stat

from ...sandbox.beneath import directory, is_special, open_beneath
from .changes import Entry, Kind

_CHUNK = 1024 * 1024
# No such name, or a file or a link where a directory would have to be.
_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class SpecialFile(Exception):
    """A socket, a fifo or a device node. It is in no view and is never applied."""


def split(path: str) -> tuple[str, str]:
    """The directory and the name of a relative path."""
    parent, _, name = path.rpartition("/")
    return parent, name


def look(root: int, path: str) -> Entry | None:
    """The entry at ``path`` below ``root``; None where there is nothing.

    What lies behind a link is somewhere else: nothing is there.

    Raises:
        SpecialFile: it is neither file, directory nor link.
        OSError: it cannot be read.
    """
    parent, name = split(path)
    try:
        with directory(root, parent) as opened:
            found = os.lstat(name, dir_fd=opened)
            if stat.S_ISLNK(found.st_mode):
                return Entry(Kind.LINK, target=os.readlink(name, dir_fd=opened))
    except OSError as error:
        if error.errno in _NOTHING:
            return None
        raise
    if is_special(found.st_mode):
        raise SpecialFile(path)
    mode = found.st_mode & 0o777
    if stat.S_ISDIR(found.st_mode):
        return Entry(Kind.DIRECTORY, mode)
    return _file(root, path, mode)


def _file(root: int, path: str, mode: int) -> Entry:
    # Not blocking, and asked again: it may have become a fifo since it was looked at.
    opened = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise SpecialFile(path)
        digest, size = hashlib.sha256(), 0
        while chunk := os.read(opened, _CHUNK):
            digest.update(chunk)
            size += len(chunk)
        return Entry(Kind.FILE, mode, digest.hexdigest(), size=size)
    finally:
        os.close(opened)


def read_text(root: int, path: str, limit: int) -> str | None:
    """The content of a file as text; None where it is none, is too long, or is not text."""
    try:
        opened = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode) or os.fstat(opened).st_size > limit:
            return None
        content = b""
        while len(content) <= limit and (chunk := os.read(opened, _CHUNK)):
            content += chunk
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    finally:
        os.close(opened)
    return None if len(content) > limit or "\0" in text else text
