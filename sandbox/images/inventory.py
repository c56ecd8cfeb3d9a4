"""What an image really holds, read from the image itself: programs, setuid files, devices."""

import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO

from trilemma.errors import SandboxError

from .engine import engine
from .identity import ImageId

_INTERPRETERS = (
    *("*awk", "bash", "busybox", "bwrap", "csh", "dash", "dc", "ed", "emacs*", "env", "expect"),
    *("find", "gdb*", "git", "guile*", "java", "jq", "ksh*", "ld-linux*", "less", "lua*", "m4"),
    *("make", "man", "nano", "node*", "perl*", "php*", "psql", "python*", "rbash", "ruby*", "scm*"),
    *("sed", "sh", "sqlite3*", "ssh*", "tar", "tcl*", "vi", "vim*", "xargs", "zsh*"),
)
"""Programs that run what their input or arguments say."""

_SPECIAL = {
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One path of an image."""

    path: str
    mode: int
    owner: tuple[int, int]
    type: str
    """file, link, folder, or the name of something special."""
    content: str
    """The sha256 of a file, the target of a link."""
    program: bool = False
    """Whether it can be executed."""
    powers: bool = False
    """Whether it carries file capabilities."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything in an image."""

    items: Mapping[str, Item]

    @property
    def programs(self) -> tuple[str, ...]:
        """Paths of files that can be executed."""
        return tuple(path for path, item in self.items.items() if item.program)

    @property
    def interpreters(self) -> tuple[str, ...]:
        """Programs that run what their input says."""
        return tuple(path for path in self.programs if _interprets(path))

    @property
    def privileged(self) -> tuple[str, ...]:
        """Files with setuid, setgid or file capabilities."""
        return tuple(p for p, i in self.items.items() if i.type == "file" and _privileged(i))

    @property
    def special(self) -> tuple[str, ...]:
        """Device nodes and fifos."""
        return tuple(path for path, item in self.items.items() if item.type in _SPECIAL.values())

    @property
    def writable(self) -> tuple[str, ...]:
        """Files and folders that somebody besides root may write to."""
        return tuple(p for p, i in self.items.items() if i.type != "link" and _writable(i))


def audit(image: ImageId) -> Inventory:
    """Take stock of an image on the engine."""
    with tempfile.TemporaryFile() as saved:
        with engine() as client:
            for block in client.save(image):
                saved.write(block)
        saved.seek(0)
        try:
            return Inventory(dict(sorted(_items(saved))))
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise SandboxError(f"image {image!r} cannot be read: {error}") from error


def _items(saved: IO[bytes]) -> Iterator[tuple[str, Item]]:
    """Items of all layers, lowest first; ours only ever add."""
    with tarfile.open(fileobj=saved) as archive:
        manifest = json.load(_file(archive, archive.getmember("manifest.json")))
        for layer in manifest[0]["Layers"]:
            with tarfile.open(fileobj=_file(archive, archive.getmember(layer))) as files:
                yield from ((_path(each), _item(files, each)) for each in files)


def _item(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Item:
    kind, content, program = "file", member.linkname, False
    if member.isreg():
        data = _file(archive, member).read()
        content = hashlib.sha256(data).hexdigest()
        program = bool(member.mode & 0o111) and data.startswith((b"\x7fELF", b"#!"))
    elif member.isdir():
        kind, content = "folder", ""
    elif member.issym() or member.islnk():
        kind = "link"
    else:
        kind = _SPECIAL.get(member.type, "unknown")
    powers = any("security.capability" in key for key in member.pax_headers)
    owner = (member.uid, member.gid)
    return Item(_path(member), member.mode & 0o7777, owner, kind, content, program, powers)


def _file(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name!r} is no file")
    return file


def _path(member: tarfile.TarInfo) -> str:
    return "/" + member.name.strip("/")


def _interprets(path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(name, pattern) for pattern in _INTERPRETERS)


def _privileged(item: Item) -> bool:
    return bool(item.mode & 0o6000) or item.powers


def _writable(item: Item) -> bool:
    return item.owner != (0, 0) or bool(item.mode & 0o022)
