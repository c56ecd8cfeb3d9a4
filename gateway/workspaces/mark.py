"""The identity mark that a workspace's folder carries.

It names the workspace, the ledger that knows it, and a position in that ledger. A folder whose
mark this ledger cannot vouch for was written to by nobody knows whom. The mark is not a secret
and proves nothing by itself: all that stands in it is looked up in the ledger.
"""

import errno
import json
import os
import unicodedata
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Self

from ...sandbox.folder import Folder
from ..ledger.events import Head

ATTRIBUTE = "user.trilemma.workspace"
FILE = ".trilemma-workspace"
"""Where file systems hold no extended attributes. Never part of what is applied."""

_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Mark:
    """What a mark says."""

    workspace: str
    ledger: str
    seq: int
    hash: str

    @classmethod
    def of(cls, workspace: str, ledger: str, head: Head) -> Self:
        """The mark of a workspace after the event at ``head``."""
        return cls(workspace, ledger, head.seq, head.hash)


UNREADABLE = Mark("", "", 0, "")
"""There is a mark, and it says nothing that could be looked up."""


def passes_for_mark(path: str, folder: int) -> bool:
    """Whether a folder might take this entry of it for its mark.

    There are folders that do not tell letters' case, drop characters that nobody sees, end names
    before a dot or a space, or know a file by a short name as well.
    """
    if "/" in path:
        return False
    plain = unicodedata.normalize("NFKD", path).casefold().encode("ascii", "ignore").decode()
    return plain.rstrip(". ") == FILE or _is_same(folder, path)


def _is_same(folder: int, name: str) -> bool:
    try:
        mark = os.lstat(FILE, dir_fd=folder)
        return os.path.samestat(mark, os.lstat(name, dir_fd=folder))
    except OSError:
        return False


def read_mark(folder: Folder) -> Mark | None:
    """The folder's mark, ``UNREADABLE`` where it makes no sense, None where there is none.

    Raises:
        WorkspaceError: the folder was replaced.
    """
    descriptor = folder.open(os.O_RDONLY)
    try:
        content = _attribute(descriptor)
        if content is None:
            content = _file(descriptor)
    except OSError:
        return UNREADABLE
    finally:
        os.close(descriptor)
    return None if content is None else _parse(content)


def write_mark(folder: Folder, mark: Mark) -> bool:
    """Put the mark on the folder; False where the folder takes none.

    Then the ledger still knows the folder by what and where it is.

    Raises:
        WorkspaceError: the folder was replaced.
    """
    content = json.dumps(asdict(mark), sort_keys=True).encode()
    descriptor = folder.open(os.O_RDONLY)
    try:
        try:
            os.setxattr(descriptor, ATTRIBUTE, content)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOSPC):
                return False
            return _write_file(descriptor, folder, content)
        _remove_file(descriptor)
        return True
    finally:
        os.close(descriptor)


def _attribute(descriptor: int) -> bytes | None:
    try:
        return os.getxattr(descriptor, ATTRIBUTE)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def _file(directory: int) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        opened = os.open(FILE, flags, dir_fd=directory)
    except FileNotFoundError:
        return None
    try:
        return os.read(opened, _LONGEST + 1)
    finally:
        os.close(opened)


def _write_file(directory: int, folder: Folder, content: bytes) -> bool:
    fresh = f"{FILE}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        opened = os.open(fresh, flags, 0o644, dir_fd=directory)
        try:
            os.write(opened, content)
            if os.geteuid() == 0:
                os.fchown(opened, folder.uid, folder.gid)
            os.fsync(opened)
        finally:
            os.close(opened)
        os.replace(fresh, FILE, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        return False
    return True


def _remove_file(directory: int) -> None:
    with suppress(OSError):
        os.unlink(FILE, dir_fd=directory)


def _parse(content: bytes) -> Mark:
    try:
        found: Any = json.loads(content.decode("ascii")) if len(content) <= _LONGEST else None
        mark = Mark(found["workspace"], found["ledger"], found["seq"], found["hash"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return UNREADABLE
    texts = (mark.workspace, mark.ledger, mark.hash)
    well_formed = all(isinstance(text, str) for text in texts) and type(mark.seq) is int
    return mark if well_formed and mark.seq > 0 else UNREADABLE
