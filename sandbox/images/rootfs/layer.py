"""A tree as a layer: a tar file whose bytes depend on the tree's content alone."""

import hashlib
import tarfile
from pathlib import Path
from typing import BinaryIO

from .recipe import EPOCH
from .tree import Entry, Tree


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._out.write(data)


def write_layer(tree: Tree, target: Path) -> str:
    """Write the tree as a tar file and give its digest, ``sha256:...``."""
    with target.open("wb") as out:
        hashing = _Hashing(out)
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for entry in tree.entries():
                _write(archive, entry, tree)
    return f"sha256:{hashing.sha256.hexdigest()}"


def _write(archive: tarfile.TarFile, entry: Entry, tree: Tree) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.mtime = entry.mode, EPOCH
    if entry.folder:
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    elif entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
        archive.addfile(info)
    else:
        content = tree.content(entry.path)
        info.size = len(content)
        with (tree.root / entry.path).open("rb") as file:
            archive.addfile(info, file)
