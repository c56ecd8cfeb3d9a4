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
    # One mount may cover another, also further down: what leads there is told by looking.
    places = {
        (mount.device, mount.root / path.relative_to(mount.point))
        for mount in mounts
        if _lies_in(path, mount.point)
    }
    others = {
        mount.point / inside.relative_to(mount.root)
        for mount in mounts
        for device, inside in places
        if mount.device == device and _lies_in(inside, mount.root)
    }
    yield from sorted(other for other in others if other != path and _same(other, path))


def _mounts() -> list[_Mount]:
    found = []
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, _, device, root, point, *_ = line.split(" ")
        found.append(_Mount(device, _unescaped(root), _unescaped(point)))
    return found


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
