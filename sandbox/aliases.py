"""Other names of a directory: what is mounted once more, as a bind mount is, has several."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class _Mount:
    """A part of a file system, and where it appears."""

    device: str
    root: Path
    point: Path


def aliases(path: Path) -> Iterator[Path]:
    """Every other path that leads to the directory at ``path``, as this process sees it."""
    mounts = _mounts()
    # Of several that were mounted at one place the last is reached.
    mine = max(
        (mount for mount in mounts if _lies_in(path, mount.point)),
        key=lambda mount: len(mount.point.parts),
        default=None,
    )
    if mine is None:
        return
    inside = mine.root / path.relative_to(mine.point)
    for mount in mounts:
        if mount.device == mine.device and _lies_in(inside, mount.root):
            other = mount.point / inside.relative_to(mount.root)
            if other != path and _same(other, path):
                yield other


def _mounts() -> list[_Mount]:
    found = []
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, _, device, root, point, *_ = line.split(" ")
        found.append(_Mount(device, _unescaped(root), _unescaped(point)))
    return found[::-1]


def _unescaped(text: str) -> Path:
    """The kernel writes what would break the line as three octal digits."""
    head, *rest = text.split("\\")
    return Path(head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest))


def _lies_in(path: Path, tree: Path) -> bool:
    return path.parts[: len(tree.parts)] == tree.parts


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.lstat(one), os.lstat(other))
    return False
