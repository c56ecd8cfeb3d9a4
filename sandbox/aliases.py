"""Other names of a directory: what is mounted once more, as a bind mount is, has several."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .proc import own_mounts


def aliases(path: Path) -> Iterator[Path]:
    """Every other path that leads to the directory at ``path``, as this process sees it."""
    found = [(m.device, Path(m.root), Path(m.target)) for m in own_mounts()]
    # One mount may cover another, also further down: what leads there is told by looking.
    places = {
        (device, root / path.relative_to(point))
        for device, root, point in found
        if _lies_in(path, point)
    }
    others = {
        point / inside.relative_to(root)
        for device, root, point in found
        for there, inside in places
        if there == device and _lies_in(inside, root)
    }
    yield from sorted(other for other in others if other != path and _same(other, path))


def _lies_in(path: Path, tree: Path) -> bool:
    return path.parts[: len(tree.parts)] == tree.parts


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.lstat(one), os.lstat(other))
    return False
