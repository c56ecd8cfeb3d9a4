"""A workspace's files, carried in and out where the gateway cannot mount its folder.

Runs in locked children of a sandbox that serves no tool. What lies in the workspace was written by
agents, who may be changing it at this moment: nothing is followed, and nothing in it is believed
beyond what the gateway checks again. A path travels as its bytes, read as Latin-1, for JSON holds
text alone.
"""

import base64
import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from .beneath import walk_beneath
from .errors import CallFailed, NotFound
from .settings import WORKSPACE, Settings

MAX_DEPTH = 128
"""Folders nested deeper are named, and not entered."""
_LONGEST_FOLDER = 3600
"""Nor are those with a longer path: what lies in them could not be named."""

_CHUNK = 1024 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "link"}

Row = list[Any]


def run(name: str, arguments: dict[str, Any], settings: Settings) -> Any:
    """Do what the gateway asks: ``put``, ``list`` or ``get``."""
    if settings.workspace != "rw" or settings.exec != "never":
        raise CallFailed("nothing is carried in a sandbox with this profile")
    root = os.open(WORKSPACE, _FOLDER)
    match name, arguments:
        case "put", {"rows": rows}:
            for row in rows:
                _put(root, row)
            return None
        case "list", {"after": after, "room": room, "digests": digests}:
            return _list(root, _bytes(after), room, digests=digests)
        case "get", {"pieces": pieces}:
            return [_piece(root, _bytes(path), *span) for path, *span in pieces]
    raise NotFound(f"nothing is carried by {name!r}")


def _put(root: int, row: Row) -> None:
    kind, path, *rest = row
    match kind, rest:
        case "folder", []:
            with _parent(root, path) as (parent, name):
                os.mkdir(name, 0o700, dir_fd=parent)
        case "link", [target]:
            with _parent(root, path) as (parent, name):
                os.symlink(_bytes(target), name, dir_fd=parent)
        case "data", [offset, data]:
            _write(root, path, offset, base64.b64decode(data, validate=True))
        case "done", [mode, mtime]:
            _finish(root, path, mode, mtime)
        case _:
            raise CallFailed(f"no such row: {kind!r}")


@contextmanager
def _parent(root: int, path: str) -> Iterator[tuple[int, bytes]]:
    above, _, name = _bytes(path).rpartition(b"/")
    parent = walk_beneath(root, os.fsdecode(above), _FOLDER)
    try:
        yield parent, name
    finally:
        os.close(parent)


def _write(root: int, path: str, offset: int, data: bytes) -> None:
    flags = os.O_WRONLY if offset else _CREATE
    fd = walk_beneath(root, os.fsdecode(_bytes(path)), flags, 0o600)
    with os.fdopen(fd, "wb") as file:
        if os.fstat(fd).st_size != offset:
            raise CallFailed(f"{path!r} does not end where this piece begins")
        file.seek(offset)
        file.write(data)


def _finish(root: int, path: str, mode: int, mtime: int) -> None:
    """Mode and time, which writing would change again."""
    fd = walk_beneath(root, os.fsdecode(_bytes(path)), _READ)
    try:
        os.fchmod(fd, mode & 0o777)
        os.utime(fd, ns=(mtime, mtime))
    finally:
        os.close(fd)


def _list(root: int, after: bytes, room: int, *, digests: bool = False) -> dict[str, Any]:
    """What lies there beyond ``after``, in order, as long as it fits."""
    # Before the first look: what is written later has a later time.
    clock = time.time_ns()
    last = after.split(b"/") if after else []
    rows: list[Row] = []
    # Files with holes have no end, for whoever reads them.
    left = _capacity(root) if digests else 0
    for path, row in _walk(root, b"", 1):
        if path.split(b"/") <= last:
            continue
        room -= len(json.dumps(row)) + 1
        if room < 0:
            return {"clock": clock, "rows": rows, "more": True}
        told = digests and row[1] == "file" and row[3] <= left
        left -= row[3] if told else 0
        rows.append([*row, _digest(root, path) if told else ""])
    return {"clock": clock, "rows": rows, "more": False}


def _capacity(root: int) -> int:
    """Bytes that the workspace can hold."""
    found = os.fstatvfs(root)
    return found.f_blocks * found.f_frsize


def _walk(folder: int, prefix: bytes, depth: int) -> Iterator[tuple[bytes, Row]]:
    for name in sorted(map(os.fsencode, os.listdir(folder))):
        path = prefix + name
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(found.st_mode) else b""
        except OSError:
            continue  # Gone since it was listed.
        is_folder = stat.S_ISDIR(found.st_mode)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "special")
        if is_folder and (depth >= MAX_DEPTH or len(path) > _LONGEST_FOLDER):
            kind = "deep"
        yield path, _row(path, kind, found, target)
        if kind == "folder":
            with suppress(FileNotFoundError, NotADirectoryError), _lent(folder, name, 0o700):
                inner = os.open(name, _FOLDER, dir_fd=folder)
                try:
                    yield from _walk(inner, path + b"/", depth + 1)
                finally:
                    os.close(inner)


def _row(path: bytes, kind: str, found: os.stat_result, target: bytes) -> Row:
    return [
        path.decode("latin-1"),
        kind,
        stat.S_IMODE(found.st_mode),
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        target.decode("latin-1"),
    ]


def _digest(root: int, path: bytes) -> str:
    """Of a file's content: memory that is mapped changes it without a new time."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with _opened(root, path.split(b"/")) as fd:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                while piece := os.read(fd, _CHUNK):
                    digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _piece(root: int, path: bytes, offset: int, length: int) -> str | None:
    """A part of a regular file; None where there is none any more."""
    try:
        with _opened(root, path.split(b"/")) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            return base64.b64encode(os.pread(fd, length, offset)).decode()
    except OSError:
        return None


@contextmanager
def _opened(root: int, parts: list[bytes]) -> Iterator[int]:
    """A file, whatever its owner took away from himself on the way to it."""
    if not {b"", b".", b".."}.isdisjoint(parts):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    with ExitStack() as stack:
        at = root
        for part in parts[:-1]:
            stack.enter_context(_lent(at, part, 0o700))
            at = os.open(part, _FOLDER, dir_fd=at)
            stack.callback(os.close, at)
        stack.enter_context(_lent(at, parts[-1], 0o400))
        fd = os.open(parts[-1], _READ, dir_fd=at)
        stack.callback(os.close, fd)
        yield fd


@contextmanager
def _lent(parent: int, name: bytes, needed: int) -> Iterator[None]:
    """The owner's rights to one entry, given back afterwards."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    mode = stat.S_IMODE(found)
    lacking = not stat.S_ISLNK(found) and mode & needed != needed
    if lacking:
        os.chmod(name, mode & 0o777 | needed, dir_fd=parent)
    try:
        yield
    finally:
        if lacking:
            with suppress(OSError):
                os.chmod(name, mode & 0o777, dir_fd=parent)


def _bytes(path: str) -> bytes:
    return path.encode("latin-1")
