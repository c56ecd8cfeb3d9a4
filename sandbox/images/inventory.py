"""What an image really holds, read from the image itself: programs, setuid files, devices."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO

from trilemma.errors import SandboxError

from .engine import engine
from .identity import ImageId

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
    def setuid(self) -> tuple[str, ...]:
        """Files that would run with their owner's or group's rights."""
        return tuple(path for path, item in self.items.items() if _sets_id(item))

    @property
    def powers(self) -> tuple[str, ...]:
        """Files that would run with capabilities of their own."""
        return tuple(path for path, item in self.items.items() if item.powers)

    @property
    def special(self) -> tuple[str, ...]:
        """Device nodes and fifos."""
        return tuple(p for p, item in self.items.items() if item.type in _SPECIAL.values())

    @property
    def writable(self) -> tuple[str, ...]:
        """Files and folders that somebody besides root may write to."""
        return tuple(p for p, i in self.items.items() if i.type != "link" and _writable(i))


def audit(image: ImageId) -> Inventory:
    """Take stock of an image on the engine, streamed: nothing of it is unpacked.

    Raises:
        SandboxError: the engine's archive cannot be read.
    """
    with engine() as client, client.container({"Image": image}) as container:
        stream = io.BufferedReader(_Pieces(client.export(container)), 1 << 20)
        try:
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                return Inventory(dict(sorted(_items(archive).items())))
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise SandboxError(f"image {image!r} cannot be read: {error}") from error


class _Pieces(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _items(archive: tarfile.TarFile) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for member in archive:
        path = _path(member.name)
        if member.islnk():  # One more name of a file that came before.
            items[path] = replace(items[_path(member.linkname)], path=path)
        else:
            items[path] = _item(archive, member)
    return items


def _item(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Item:
    kind, content, program = "file", member.linkname, False
    if member.isreg():
        content, start = _hashed(archive.extractfile(member))
        program = bool(member.mode & 0o111) and start.startswith((b"\x7fELF", b"#!"))
    elif member.isdir():
        kind, content = "folder", ""
    elif member.issym():
        kind = "link"
    else:
        kind = _SPECIAL.get(member.type, "unknown")
    powers = any("security.capability" in key for key in member.pax_headers)
    owner = (member.uid, member.gid)
    return Item(_path(member.name), member.mode & 0o7777, owner, kind, content, program, powers)


def _hashed(file: IO[bytes] | None) -> tuple[str, bytes]:
    """The hash of a file, and how it starts."""
    if file is None:
        raise ValueError("a file without content")
    digest, start = hashlib.sha256(), b""
    while piece := file.read(1 << 20):
        start = start or piece[:4]
        digest.update(piece)
    return digest.hexdigest(), start


def _path(name: str) -> str:
    return "/" + name.strip("/")


def _sets_id(item: Item) -> bool:
    """On a folder the bits only say whose the new files in it are."""
    return item.type == "file" and bool(item.mode & 0o6000)


def _writable(item: Item) -> bool:
    return item.owner != (0, 0) or bool(item.mode & 0o022)
