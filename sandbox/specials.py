"""Sockets, fifos and device nodes in a folder: found, and hidden from a view.

A socket in a mounted folder can be connected to even through a read-only mount, and a fifo can be
written to. In an overlay both are nodes of its own that lead nowhere, but kernels have differed,
so whiteouts hide them as well, without a copy and without touching the folder.
What a host process makes there later is not hidden: a profile without code can make no socket to
use it with, and one with code is kept from unix sockets by its seccomp profile.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from .beneath import directory, entry, is_special
from .idmap import Owner


def special_files(root: int) -> list[str]:
    """Every socket, fifo and device node below the directory ``root``, as relative paths.

    Directories that cannot be entered are passed over, as are other mounts: a view shows neither.
    """
    return sorted(path for path, mode in _entries(root) if is_special(mode))


def _entries(root: int) -> Iterator[tuple[str, int]]:
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            with directory(root, parent) as opened, os.scandir(opened) as found:
                for item in found:
                    path = f"{parent}/{item.name}" if parent else item.name
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif not (item.is_symlink() or item.is_file(follow_symlinks=False)):
                        yield path, _mode(opened, item.name)
        except OSError:
            continue


def _mode(opened: int, name: str) -> int:
    found = entry(opened, name)
    # Gone since it was listed: nothing to hide.
    return stat.S_IFREG if found is None else found.st_mode


def standing(root: int, paths: Iterable[str]) -> list[str]:
    """Those of the paths that are there."""
    found = []
    for path in paths:
        parent, _, name = path.rpartition("/")
        with suppress(OSError), directory(root, parent) as opened:
            if entry(opened, name) is not None:
                found.append(path)
    return found


def build_mask(root: int, paths: list[str], target: Path, disk: Owner, view: Owner) -> None:
    """Make ``target`` a layer that hides ``paths`` when it is stacked on the folder ``root``.

    Its directories show the attributes of the folder's own, in the view's ids: in an overlay the
    topmost directory's attributes count.
    """
    hidden = set(paths)
    _like(root, "", target, disk, view)
    for path in paths:
        parents = list(reversed(PurePosixPath(path).parents[:-1]))
        if not hidden.isdisjoint(map(str, parents)):
            continue  # Hidden with the folder that it lies in.
        for parent in parents:
            if not (target / parent).is_dir():
                _like(root, str(parent), target / parent, disk, view)
        os.mknod(target / path, stat.S_IFCHR, os.makedev(0, 0))


def _like(root: int, path: str, target: Path, disk: Owner, view: Owner) -> None:
    with directory(root, path) as opened:
        found = os.fstat(opened)
    target.mkdir(mode=0o700)
    if os.geteuid() == 0:
        uid = view.uid if found.st_uid == disk.uid else found.st_uid
        gid = view.gid if found.st_gid == disk.gid else found.st_gid
        os.chown(target, uid, gid)
    target.chmod(stat.S_IMODE(found.st_mode))
