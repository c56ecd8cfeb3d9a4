"""The mount system calls that Python lacks. Each function is one call, or says why it is two.

Everything is named by descriptor, so that no path is resolved twice. The numbers are the same on
every architecture, for these calls are younger than the common table.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path

from .proc import own_mounts

_OPEN_TREE = 428
_MOVE_MOUNT = 429
_MOUNT_SETATTR = 442

_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_ATTR_IDMAP = 0x100000
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8

_MS_PRIVATE = 1 << 18
_MS_SHARED = 1 << 20

_MS_NOSUID = 2
_MS_NODEV = 4
_MS_NOEXEC = 8

_libc = ctypes.CDLL(None, use_errno=True)


class Flag(IntFlag):
    """Flags of one mount, as ``mount_setattr`` knows them."""

    READ_ONLY = 1
    NOSUID = 2
    NODEV = 4
    NOEXEC = 8


_KEEP = Flag(0)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def clone_tree(descriptor: int) -> int:
    """A detached copy of the mount at ``descriptor``, without what is mounted below it."""
    flags = _AT_EMPTY_PATH | _OPEN_TREE_CLONE | os.O_CLOEXEC
    return _check(_libc.syscall(_OPEN_TREE, descriptor, b"", flags), "open_tree")


@contextmanager
def clone_at(path: Path) -> Iterator[int]:
    """A detached copy of the mount at ``path``, for as long as this lasts."""
    opened = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        tree = clone_tree(opened)
    finally:
        os.close(opened)
    try:
        yield tree
    finally:
        os.close(tree)


def set_flags(tree: int, flags: Flag, clear: Flag = _KEEP, idmap: int | None = None) -> None:
    """Set the flags of a detached mount, and the id mapping of the user namespace ``idmap``."""
    mapping = 0 if idmap is None else _ATTR_IDMAP
    attributes = struct.pack("QQQQ", flags | mapping, clear, 0, idmap or 0)
    call = (_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))
    _check(_libc.syscall(*call), "mount_setattr")


def cut_off(tree: int) -> None:
    """What is mounted below the clone's original no longer appears below it, nor the reverse."""
    _set_propagation(tree, _MS_PRIVATE)


def make_shared(tree: int) -> None:
    """From now on what is mounted on it appears in every copy of it. A group of its own."""
    # A clone of a shared mount is in its original's group, which is left first.
    _set_propagation(tree, _MS_PRIVATE)
    _set_propagation(tree, _MS_SHARED)


def _set_propagation(tree: int, kind: int) -> None:
    attributes = struct.pack("QQQQ", 0, 0, kind, 0)
    call = (_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes))
    _check(_libc.syscall(*call), "mount_setattr")


def attach(tree: int, target: Path) -> None:
    """Attach a detached mount at ``target``."""
    call = (_MOVE_MOUNT, tree, b"", -100, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    _check(_libc.syscall(*call), "move_mount")


def mount_overlay(target: Path, options: str) -> None:
    """Mount an overlay that honours no device, no set-user-id bit and executes nothing."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    call = (b"trilemma", os.fsencode(target), b"overlay", flags, os.fsencode(options))
    _check(_libc.mount(*call), "mount")


def unmount(target: Path) -> None:
    """Detach what is mounted at ``target``, at once for new users even if it is busy.

    Nothing mounted there, or no such path, is fine: unmounting twice does no harm.
    """
    if _libc.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) < 0:
        number = ctypes.get_errno()
        if number not in (errno.EINVAL, errno.ENOENT):
            raise OSError(number, f"umount {target}: {os.strerror(number)}")


def mounted_below(root: Path) -> list[Path]:
    """Mount points at or below ``root``, the innermost first."""
    points = [Path(mount.target) for mount in own_mounts()]
    found = [point for point in points if point == root or root in point.parents]
    return sorted(found, key=lambda point: len(point.parts), reverse=True)
