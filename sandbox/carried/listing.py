"""Reads what a carrier says lies in its volume. An agent wrote that: everything is checked."""

import os
from dataclasses import dataclass, field
from typing import Any

from trilemma.errors import SandboxError

from .tree import MAX_ENTRIES, Kind, Node, above

_LONGEST_PATH = 3900
"""Bytes. With the folder in front of it, it must still be one that a system call takes."""
_LONGEST_NAME = 255
_LONGEST_TARGET = 4095
_LARGEST = 1 << 62

_FIELDS = (str, str, int, int, int, int, int, str, str)


@dataclass(slots=True)
class Listing:
    """What lay in a volume."""

    clock: int = 0
    """The time there, in nanoseconds, before the first look."""
    nodes: dict[str, Node] = field(default_factory=dict)
    last: str = ""
    """The last path so far, as the wire has it."""
    room: int = 32 * 1024 * 1024
    """Characters of names and links that are still taken: they are all held in memory."""
    full: bool = False
    """Whether all of it is here."""

    def add(self, page: Any) -> None:
        """Go on with a page.

        Raises:
            SandboxError: it is not what a carrier says.
        """
        match page:
            case {"clock": int(clock), "rows": list(rows), "more": bool(more)} if rows or not more:
                self.clock = self.clock or clock
                for row in rows:
                    self._add(row)
                self.full = not more
            case _:
                raise nonsense("a page")

    def _add(self, row: Any) -> None:
        if not isinstance(row, list) or tuple(map(type, row)) != _FIELDS:
            raise nonsense("a row")
        path, node = _checked_path(row[0]), _node(row)
        # In order, so that nothing comes twice and nothing without its folder.
        if self.last and _parts(row[0]) <= _parts(self.last):
            raise nonsense(f"the place of {row[0]!r}")
        parent = above(path)
        if parent and self.nodes.get(parent, _NOTHING).kind is not Kind.FOLDER:
            raise nonsense(f"the folder of {row[0]!r}")
        if len(self.nodes) >= MAX_ENTRIES:
            raise SandboxError(
                f"the workspace holds more than {MAX_ENTRIES} entries, which is too many to carry"
            )
        self.room -= len(row[0]) + len(row[7])
        if self.room < 0:
            raise SandboxError("the names in the workspace are too long to carry all of them")
        self.nodes[path] = node
        self.last = row[0]


_NOTHING = Node(Kind.SPECIAL)


def _node(row: list[Any]) -> Node:
    _, name, mode, size, mtime, changed, inode, target, digest = row
    if name not in tuple(Kind) or not 0 <= size < _LARGEST or not 0 <= inode < 1 << 64:
        raise nonsense("a row")
    if not (-_LARGEST < mtime < _LARGEST and 0 <= changed < _LARGEST):
        raise nonsense("a time")
    kind = Kind(name)
    if kind is Kind.LINK:
        return Node(kind, target=_checked_target(target))
    if kind is Kind.FILE:
        return Node(kind, mode & 0o777, size, mtime, changed=changed, inode=inode, digest=digest)
    return Node(kind, mode & 0o777) if kind is Kind.FOLDER else Node(kind)


def _checked_path(text: str) -> str:
    data = _data(text)
    parts = data.split(b"/")
    if len(data) > _LONGEST_PATH or any(
        part in (b"", b".", b"..") or len(part) > _LONGEST_NAME for part in parts
    ):
        raise nonsense(f"the path {text[:100]!r}")
    return os.fsdecode(data)


def _checked_target(text: str) -> str:
    data = _data(text)
    if not 0 < len(data) <= _LONGEST_TARGET:
        raise nonsense("the target of a link")
    return os.fsdecode(data)


def _data(text: str) -> bytes:
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        raise nonsense("a name") from None
    if b"\0" in data:
        raise nonsense("a name")
    return data


def _parts(text: str) -> list[str]:
    # Latin-1 keeps the order of the bytes.
    return text.split("/")


def nonsense(what: str) -> SandboxError:
    """The error for an answer that no carrier gives."""
    return SandboxError(f"the sandbox that carries the workspace answered nonsense: {what}")
