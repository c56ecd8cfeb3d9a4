"""A tree as a layer: a tar file whose bytes depend on the tree's content alone."""

import hashlib
import tarfile
from pathlib import Path

from .recipe import EPOCH
from .tree import Entry, Tree


def write_layer(tree: Tree, target: Path) -> str:
    """Write the tree as a tar file and give its digest, ``sha256:...``."""
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in tree.entries():
            _write(archive, entry, tree)
    with target.open("rb") as written:
        return f"sha256:{hashlib.file_digest(written, 'sha256').hexdigest()}"


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
        place = tree.root / entry.path
        info.size = place.stat().st_size
        with place.open("rb") as content:
            archive.addfile(info, content)
