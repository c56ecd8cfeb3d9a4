"""Writes what came out of a sandbox into a layer, as plain files: nothing is followed."""

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Self

from ..beneath import directory, entry
from ..idmap import Owner
from .tree import above

_FRESH = ".trilemma-carried"
"""A file on its way, beside the layer's files, so that no name in there can be in its way."""

_USABLE = 0o700
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Upper:
    """A layer's folder of changes, while it is written to. The caller holds the layer's lock."""

    def __init__(self, layer: Path, owner: Owner, mode: int) -> None:
        """``owner`` and ``mode`` are what an overlay of the layer would show at its top."""
        self._owner = owner
        path = layer / "upper"
        path.mkdir(mode=0o700, exist_ok=True)
        self._place = os.open(layer, _FOLDER)
        self._root = os.open(path, _FOLDER)
        self._own("upper", self._place)
        os.fchmod(self._root, mode & 0o777 | 0o700)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)
        os.close(self._place)

    def paths(self) -> list[str]:
        """Everything that lies there; what is nested too deep to be named is left out."""
        found = []
        waiting = [""]
        while waiting:
            parent = waiting.pop()
            with directory(self._root, parent) as opened, os.scandir(opened) as items:
                for item in items:
                    path = f"{parent}/{item.name}" if parent else item.name
                    found.append(path)
                    if item.is_dir(follow_symlinks=False):
                        self._unlock(opened, item.name)
                        waiting.append(path)
        return found

    def remove(self, path: str) -> None:
        """Remove an entry with all below it. Nothing there is fine."""
        with suppress(FileNotFoundError, NotADirectoryError), self._above(path) as parent:
            name = path.rpartition("/")[2]
            if self._is_folder(parent, name):
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)

    def folder(self, path: str) -> None:
        """Have a folder there, and every folder above it."""
        if not path:
            return
        self.folder(above(path))
        with self._above(path) as parent:
            name = path.rpartition("/")[2]
            if self._is_folder(parent, name):
                return
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)
            self._own(name, parent)

    def link(self, path: str, target: str) -> None:
        """Have a symbolic link there."""
        with suppress(FileNotFoundError):
            os.unlink(_FRESH, dir_fd=self._place)
        os.symlink(target, _FRESH, dir_fd=self._place)
        self._put(path)

    def file(self, path: str, content: Iterable[bytes], mode: int, mtime: int) -> None:
        """Have a file there: as it was, or whole."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with suppress(FileNotFoundError):
            os.unlink(_FRESH, dir_fd=self._place)
        with open(os.open(_FRESH, flags, 0o600, dir_fd=self._place), "wb") as file:
            for piece in content:
                file.write(piece)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.utime(file.fileno(), ns=(mtime, mtime))
        self._put(path)

    def set_modes(self, modes: Mapping[str, int]) -> None:
        """Give the folders that are there their modes, the deepest first."""
        for path in sorted(self.paths(), reverse=True):
            if path in modes:
                with self._above(path) as parent:
                    name = path.rpartition("/")[2]
                    if self._is_folder(parent, name):
                        os.chmod(name, modes[path], dir_fd=parent)

    def _put(self, path: str) -> None:
        self._own(_FRESH, self._place)
        self.folder(above(path))
        with self._above(path) as parent:
            name = path.rpartition("/")[2]
            if self._is_folder(parent, name):
                shutil.rmtree(name, dir_fd=parent)
            os.replace(_FRESH, name, src_dir_fd=self._place, dst_dir_fd=parent)

    def _above(self, path: str) -> AbstractContextManager[int]:
        return directory(self._root, above(path))

    def _own(self, name: str, parent: int) -> None:
        """Another session may mount the layer: then its sandbox's user must be able to write."""
        if os.geteuid() == 0:
            os.chown(name, self._owner.uid, self._owner.gid, dir_fd=parent, follow_symlinks=False)

    def _is_folder(self, parent: int, name: str) -> bool:
        found = entry(parent, name)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _unlock(self, parent: int, name: str) -> None:
        """A folder that its owner may not change could not be written to, but by root."""
        mode = stat.S_IMODE(os.lstat(name, dir_fd=parent).st_mode)
        if mode & _USABLE != _USABLE:
            os.chmod(name, mode | _USABLE, dir_fd=parent)
