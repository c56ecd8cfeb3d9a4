"""Put a layer's changes into the folder: exactly what a person saw, or nothing.

First every new file is copied into a staging folder beside its goal and compared with what was
shown, then every path of the folder is; only then is anything moved into place, each file in one
step. Nothing is followed: neither in the layer, which an agent wrote, nor in the folder.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial

from trilemma.errors import WorkspaceError

from ...sandbox.beneath import directory, open_beneath
from ...sandbox.folder import Folder
from .changes import Change, Changes, Entry, Kind, Refused, parents, printable
from .diff import diff
from .layers import Layer
from .look import split

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done."""

    changes: tuple[Change, ...]
    left: tuple[Refused, ...]
    """What could not be done, and why; the rest was."""


def apply(changes: Changes, layer: Layer, folder: Folder, record: Callable[[], object]) -> Applied:
    """Apply the changes to the folder; ``record`` is called before the folder is touched.

    Raises:
        WorkspaceError: the layer or the folder is not what was shown any more, or the disk
            refuses; in the first case nothing was changed.
    """
    with ExitStack() as stack:
        base = folder.open(os.O_RDONLY)
        stack.callback(os.close, base)
        upper = os.open(layer.upper, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        stack.callback(os.close, upper)
        return _Application(changes, layer, folder, base, upper).run(record)


class _Application:
    def __init__(
        self, changes: Changes, layer: Layer, folder: Folder, base: int, upper: int
    ) -> None:
        self._changes = changes.changes
        self._layer = layer
        self._folder = folder
        self._owners: dict[str, os.stat_result] = {}
        self._base = base
        self._upper = upper
        self._staging = f".trilemma-apply-{layer.id}"
        self._done: list[Change] = []
        self._left: list[Refused] = []

    def run(self, record: Callable[[], object]) -> Applied:
        try:
            self._stage()
            self._verify()
            record()
            self._delete()
            self._write()
            os.fsync(self._base)
        except OSError as error:
            raise WorkspaceError(
                f"applying stopped: {error.strerror}; 'trilemma workspace diff' shows what is left"
            ) from None
        finally:
            self._clear()
        return Applied(tuple(self._done), tuple(self._left))

    def _stage(self) -> None:
        self._clear()
        os.mkdir(self._staging, 0o700, dir_fd=self._base)
        with directory(self._base, self._staging) as staging:
            for number, change in enumerate(self._changes):
                self._owners[change.path] = self._owner(change)
                if change.new is not None and change.new.kind is Kind.FILE:
                    self._copy(change, change.new, staging, str(number))

    def _copy(self, change: Change, new: Entry, staging: int, name: str) -> None:
        digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            source = open_beneath(self._upper, change.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            raise _moved(change) from None
        with open(source, "rb") as reading:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise _moved(change)
            with open(os.open(name, flags, 0o600, dir_fd=staging), "wb") as copy:
                while chunk := reading.read(_CHUNK):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()
                self._own(copy.fileno(), change, new)
                os.fsync(copy.fileno())
        if digest.hexdigest() != new.sha256:
            raise _moved(change)

    def _own(self, descriptor: int, change: Change, new: Entry) -> None:
        """Give a new file or directory its owner and its mode, in this order."""
        if os.geteuid() == 0:
            owner = self._owners[change.path]
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, new.mode)

    def _owner(self, change: Change) -> os.stat_result:
        """What is replaced keeps its owner; what is new belongs to the folder's."""
        parent, name = split(change.path)
        if change.old is not None:
            with suppress(OSError), directory(self._base, parent) as opened:
                return os.lstat(name, dir_fd=opened)
        return os.fstat(self._base)

    def _verify(self) -> None:
        """Both sides are as they were shown, and so are the directories above."""
        now = {change.path: change for change in diff(self._layer, self._folder).changes}
        chosen = {change.path for change in self._changes}
        for change in self._changes:
            found = now.get(change.path)
            if found is None or (found.old, found.new) != (change.old, change.new):
                raise _moved(change)
            if any(above in now and above not in chosen for above in parents(change.path)):
                raise _moved(change)

    def _delete(self) -> None:
        """Deepest first, so that directories are empty when their turn comes."""
        for change in sorted(self._changes, key=lambda c: c.path, reverse=True):
            if change.new is None:
                self._each(change, self._remove)

    def _write(self) -> None:
        """Directories before what lies in them."""
        numbered = sorted(enumerate(self._changes), key=lambda pair: pair[1].path)
        for number, change in numbered:
            if change.new is not None:
                self._each(change, partial(self._put, number))
        # Last: a directory that its owner may not write to could not be filled.
        for change in reversed(self._done):
            if change.new is not None and change.new.kind is Kind.DIRECTORY:
                with suppress(OSError), directory(self._base, change.path) as made:
                    self._own(made, change, change.new)

    def _each(self, change: Change, act: Callable[[Change], None]) -> None:
        try:
            act(change)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            self._left.append(Refused(change.path, error.strerror or str(error)))
        else:
            self._done.append(change)

    def _remove(self, change: Change) -> None:
        parent, name = split(change.path)
        with directory(self._base, parent) as opened:
            if change.old is not None and change.old.kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=opened)
            else:
                os.unlink(name, dir_fd=opened)

    def _put(self, number: int, change: Change) -> None:
        new, old = change.new, change.old
        assert new is not None
        parent, name = split(change.path)
        with directory(self._base, parent) as opened:
            if new.kind is Kind.DIRECTORY:
                if old is not None and old.kind is Kind.DIRECTORY:
                    return
                if old is not None:
                    os.unlink(name, dir_fd=opened)
                os.mkdir(name, 0o700, dir_fd=opened)
                return
            if old is not None and old.kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=opened)
            with directory(self._base, self._staging) as staging:
                if new.kind is Kind.LINK:
                    self._link(new, change, staging, str(number))
                os.replace(str(number), name, src_dir_fd=staging, dst_dir_fd=opened)
            os.fsync(opened)

    def _link(self, new: Entry, change: Change, staging: int, name: str) -> None:
        os.symlink(new.target, name, dir_fd=staging)
        if os.geteuid() == 0:
            owner = self._owners[change.path]
            os.chown(name, owner.st_uid, owner.st_gid, dir_fd=staging, follow_symlinks=False)

    def _clear(self) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._staging, dir_fd=self._base)


def _moved(change: Change) -> WorkspaceError:
    return WorkspaceError(
        f"{printable(change.path)!r} is not what was shown any more; nothing was applied. "
        "Look again: trilemma workspace diff"
    )
