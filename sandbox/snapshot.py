"""Copy a folder as it is at this moment, with a layer's changes on top where that is asked for.

Where the file system can, a copy shares the blocks of its original until one of both is written to;
elsewhere it is a copy. Nothing passes from one to the other afterwards: no lock, no time of access,
no change.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from trilemma.errors import WorkspaceError

from .beneath import directory, open_beneath
from .carried.record import Record
from .carried.source import opened
from .carried.tree import MAX_ENTRIES, Kind, Node, Tree, above, merged, read_tree
from .folder import Folder
from .idmap import sandbox_owner

_CLONE = 0x40049409
"""``FICLONE``: share all blocks of another file."""
_CHUNK = 1024 * 1024
_NOT_HERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.EACCES, errno.EPERM}


@dataclass(slots=True)
class Copied:
    """What was copied."""

    files: int = 0
    copied: int = 0
    """Bytes that were copied."""
    shared: int = 0
    """Bytes that share their blocks with the original."""
    hidden: list[str] = field(default_factory=list)
    """Sockets, fifos and devices, which are left out."""
    unread: list[str] = field(default_factory=list)
    """What this process may not read."""


def copy_folder(folder: Folder, layer: Path | None, target: Path, limit: int) -> Copied:
    """Copy the folder to the new directory ``target``; at most ``limit`` bytes that are not shared.

    Owners, modes and times of files stay. What vanishes while it is copied is left out.

    Raises:
        WorkspaceError: it is too large, or the disk refuses.
    """
    try:
        # Where there is no layer, a path with none below it stands for it.
        with opened(folder, layer or target) as (base, upper):
            copy = _Copy(folder, target, limit)
            copy.run(base, upper, Record.load(layer).gone if layer else ())
            return copy.done
    except OSError as error:
        raise WorkspaceError(
            f"workspace {str(folder.path)!r} cannot be copied to {str(target)!r}: {error.strerror}"
        ) from None


class _Copy:
    def __init__(self, folder: Folder, target: Path, limit: int) -> None:
        self.done = Copied()
        self._folder = folder
        self._sandbox = sandbox_owner(folder.uid, folder.gid)
        self._target = target
        self._limit = limit
        self._shares = True

    def run(self, base: int, upper: int | None, gone: tuple[str, ...]) -> None:
        below, changes = read_tree(base), Tree() if upper is None else read_tree(upper)
        self.done.hidden = below.hidden
        self.done.unread = below.unread + changes.unread
        shown = merged(below, changes, gone)
        if len(shown) > MAX_ENTRIES:
            raise self._too_large(f"it holds {len(shown)} entries, and {MAX_ENTRIES} may be copied")
        self._target.mkdir(mode=0o700)
        for path, own in shown.items():
            root = upper if own and upper is not None else base
            self._entry(root, path, (changes if own else below).nodes[path])
        # Last, and the deepest first: a folder that nobody may write to could not be filled.
        for path, own in reversed(shown.items()):
            root = upper if own and upper is not None else base
            if (changes if own else below).nodes[path].kind is Kind.FOLDER:
                self._like(root, path)
        self._like(base, "")

    def _entry(self, root: int, path: str, node: Node) -> None:
        target = self._target / path
        if not _is_folder(self._target / above(path)):
            return
        if node.kind is Kind.FOLDER:
            target.mkdir(mode=0o700)
        elif node.kind is Kind.LINK:
            os.symlink(node.target, target)
            with suppress(OSError), directory(root, above(path)) as parent:
                found = os.lstat(target.name, dir_fd=parent)
                self._own(target, found)
        elif node.kind is Kind.FILE:
            self._file(root, path, target)

    def _file(self, root: int, path: str, target: Path) -> None:
        try:
            # Not blocking: it may have become a fifo since it was looked at.
            source = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            return
        with open(source, "rb", buffering=0):
            found = os.fstat(source)
            if not stat.S_ISREG(found.st_mode):
                return
            with open(target, "xb", buffering=0) as copy:
                self._content(source, copy.fileno(), found.st_size)
            self._own(target, found)
            target.chmod(found.st_mode & 0o777)
            os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))
        self.done.files += 1

    def _content(self, source: int, copy: int, size: int) -> None:
        if self._shares:
            try:
                fcntl.ioctl(copy, _CLONE, source)
            except OSError:
                # It will not do so for the next file either, or not often.
                self._shares = size == 0
            else:
                self.done.shared += size
                return
        while chunk := os.read(source, _CHUNK):
            self.done.copied += len(chunk)
            if self.done.copied > self._limit:
                raise self._too_large(
                    f"more than {self._limit >> 20} MiB would be copied, and the file system "
                    "cannot share them with the original; raise TRILEMMA_SNAPSHOT_MB"
                )
            view = memoryview(chunk)
            while view:
                view = view[os.write(copy, view) :]

    def _like(self, root: int, path: str) -> None:
        """Give a folder the owner, the mode and the time of its original."""
        target = self._target / path
        if not _is_folder(target):
            return
        with suppress(OSError), directory(root, path) as original:
            found = os.fstat(original)
            self._own(target, found)
            target.chmod(found.st_mode & 0o777)
            os.utime(target, ns=(found.st_mtime_ns, found.st_mtime_ns))

    def _own(self, target: Path, found: os.stat_result) -> None:
        """The original's owner. What a layer holds of its sandbox's user is the folder owner's."""
        if os.geteuid() == 0:
            uid = self._folder.uid if found.st_uid == self._sandbox.uid else found.st_uid
            gid = self._folder.gid if found.st_gid == self._sandbox.gid else found.st_gid
            os.chown(target, uid, gid, follow_symlinks=False)

    def _too_large(self, why: str) -> WorkspaceError:
        name = str(self._folder.path)
        return WorkspaceError(
            f"workspace {name!r} is too large for a snapshot: {why}; or name a smaller folder"
        )


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False
