"""Copy a folder for a sandbox's user, where the kernel cannot show it to that user as it is."""

import os
import stat
from pathlib import Path

from trilemma.errors import WorkspaceError

from .beneath import directory, is_special, open_beneath
from .idmap import Owner

CEILING_BYTES = 256 * 1024 * 1024
CEILING_ENTRIES = 50_000
_CHUNK = 1024 * 1024


def copy_tree(root: int, target: Path, owner: Owner) -> None:
    """Copy what lies below the directory ``root`` to the new directory ``target``.

    The copy belongs to ``owner``; sockets, fifos and devices are left out, and so are
    set-user-id bits. Links are copied as links. Only for folders of root: a copy shows its owner
    everything in it.

    Raises:
        WorkspaceError: the folder is above the ceiling.
    """
    _Copy(root, target, owner).run()


class _Copy:
    def __init__(self, root: int, target: Path, owner: Owner) -> None:
        self._root = root
        self._target = target
        self._owner = owner
        self._bytes_left = CEILING_BYTES
        self._entries_left = CEILING_ENTRIES

    def run(self) -> None:
        self._target.mkdir(mode=0o700)
        waiting = [""]
        while waiting:
            parent = waiting.pop()
            with directory(self._root, parent) as opened:
                for name in os.listdir(opened):
                    path = f"{parent}/{name}" if parent else name
                    if self._entry(os.lstat(name, dir_fd=opened), path):
                        waiting.append(path)
                mode = os.fstat(opened).st_mode
            self._give(self._target / parent, mode)

    def _entry(self, found: os.stat_result, path: str) -> bool:
        """Copy one entry; True where it is a directory whose content is still to come."""
        if is_special(found.st_mode):
            return False
        self._take(found)
        target = self._target / path
        if stat.S_ISDIR(found.st_mode):
            target.mkdir(mode=0o700)
            return True
        if stat.S_ISLNK(found.st_mode):
            self._link(path, target)
        else:
            self._file(path, target)
            self._give(target, found.st_mode)
        return False

    def _take(self, found: os.stat_result) -> None:
        self._entries_left -= 1
        self._bytes_left -= found.st_size if stat.S_ISREG(found.st_mode) else 0
        if self._bytes_left < 0 or self._entries_left < 0:
            raise WorkspaceError(
                "the workspace belongs to root on a file system whose owners cannot be mapped, "
                f"and is too large to copy (over {CEILING_BYTES >> 20} MiB or {CEILING_ENTRIES} "
                "files); give it to an unprivileged user with chown, or move it to ext4, xfs, "
                "btrfs or tmpfs"
            )

    def _link(self, path: str, target: Path) -> None:
        parent, _, name = path.rpartition("/")
        with directory(self._root, parent) as opened:
            os.symlink(os.readlink(name, dir_fd=opened), target)
        os.lchown(target, self._owner.uid, self._owner.gid)

    def _file(self, path: str, target: Path) -> None:
        # Not blocking: the entry may have become a fifo since it was looked at.
        source = open_beneath(self._root, path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            with open(target, "xb") as copy:
                while chunk := os.read(source, _CHUNK):
                    copy.write(chunk)
        finally:
            os.close(source)

    def _give(self, target: Path, mode: int) -> None:
        os.chown(target, self._owner.uid, self._owner.gid)
        target.chmod(mode & 0o777)
