"""The carrier: a locked sandbox that serves no tool, and moves files into a volume and out of it.

It lives as long as the volume is needed, for the volume is memory that vanishes with the last
container that has it mounted.
"""

import base64
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from trilemma.errors import SandboxError

from ...policy.capability import Capability
from ..base import CarryEntry, Sandbox, SandboxBackend, SandboxCall
from ..limits import Limits
from ..spec import Egress, Exec, Mount, SandboxSpec
from .listing import Listing, nonsense
from .tree import Node, wire

PIECE = 4 * 1024 * 1024
"""Bytes of files in one call."""

_MIB = 1024 * 1024
_ROOM = 8 * _MIB
_OUTPUT = 12 * _MIB
_ITS_OWN = 192 * _MIB
"""Memory of the carrier itself. What it writes to the volume counts as its memory as well."""
_SECONDS = 120.0
_PER_ROW = 64
_PER_LETTER = 8
"""Of a path, at most, as it travels."""

Row = list[Any]


class Carrier:
    """One carrier. Used by one thread at a time."""

    def __init__(self, backend: SandboxBackend, mount: Mount, image: str, size: int) -> None:
        """Start it.

        Raises:
            SandboxError: it cannot be made, or could do more than it should.
        """
        limits = Limits(memory=size + _ITS_OWN, file_size=size, output=_OUTPUT)
        self.size = size
        self._left = 0
        self._numbers = itertools.count(1)
        self._sandbox: Sandbox = backend.create(
            SandboxSpec(
                capabilities=frozenset({Capability.FILES}),
                exec=Exec.NEVER,
                egress=Egress.NONE,
                mount=mount,
                image=image,
                limits=limits,
            )
        )

    def close(self) -> None:
        """End it. The volume's content goes with the last sandbox that has it mounted."""
        self._sandbox.close()

    def put(self, rows: Iterable[Row]) -> None:
        """Make what the rows say.

        Raises:
            SandboxError: it does not fit, or the carrier is gone.
        """
        batch: list[Row] = []
        room = PIECE
        for row in rows:
            batch.append(row)
            room -= _PER_ROW + sum(len(value) for value in row if isinstance(value, str))
            if room < 0:
                self._call("put", {"rows": batch})
                batch, room = [], PIECE
        if batch:
            self._call("put", {"rows": batch})

    def listing(self, *, digests: bool = False) -> Listing:
        """Everything that lies in the volume now, with what the files hold where it is asked for.

        Raises:
            SandboxError: it is too much, or the carrier is gone.
        """
        listing = Listing()
        while not listing.full:
            asked = {"after": listing.last, "room": _ROOM, "digests": digests}
            listing.add(self._call("list", asked))
        return listing

    def files(self, wanted: Iterable[tuple[str, Node]]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each file with its content, which is to be read before the next one is taken.

        Reading raises ``Vanished`` where the file is gone by then.

        Raises:
            SandboxError: the carrier is gone, or the files are more than can lie there.
        """
        # What is written while this reads may come twice.
        self._left = 2 * self.size
        batch: list[tuple[str, Node]] = []
        room = PIECE
        for path, node in wanted:
            batch.append((path, node))
            room -= node.size + _PER_ROW + _PER_LETTER * len(path)
            if room < 0:
                yield from self._batch(batch)
                batch, room = [], PIECE
        yield from self._batch(batch)

    def _batch(self, batch: list[tuple[str, Node]]) -> Iterator[tuple[str, Iterator[bytes]]]:
        # One byte more than the file had: so one that has grown is noticed.
        asked = [(path, 0, min(node.size + 1, PIECE)) for path, node in batch]
        for (path, _, length), first in zip(asked, self._pieces(asked), strict=True):
            yield path, self._content(path, first, length)

    def _content(self, path: str, piece: bytes | None, length: int) -> Iterator[bytes]:
        offset = 0
        while piece is not None:
            yield piece
            offset += len(piece)
            self._left -= len(piece)
            if self._left < 0:
                raise SandboxError("what the workspace holds is larger than it can be")
            if len(piece) < length:
                return
            length = PIECE
            (piece,) = self._pieces([(path, offset, length)])
        raise Vanished(path)

    def _pieces(self, asked: list[tuple[str, int, int]]) -> list[bytes | None]:
        if not asked:
            return []
        rows = [[wire(path), offset, length] for path, offset, length in asked]
        answer = self._call("get", {"pieces": rows})
        if not isinstance(answer, list) or len(answer) != len(asked):
            raise nonsense("pieces")
        return [_piece(data, length) for data, (_, _, length) in zip(answer, asked, strict=True)]

    def _call(self, name: Literal["put", "list", "get"], arguments: dict[str, Any]) -> Any:
        call = SandboxCall(f"carry-{next(self._numbers)}", CarryEntry(name), arguments, _SECONDS)
        result = self._sandbox.call(call)
        if result.error is not None:
            raise SandboxError(f"the workspace cannot be carried: {result.error.message}")
        return result.value


def digest() -> "hashlib.blake2b":
    """What the carrier tells the content of files by."""
    return hashlib.blake2b(digest_size=16)


class Vanished(Exception):
    """A file is gone, or is none any more."""


def _piece(data: Any, length: int) -> bytes | None:
    if data is None:
        return None
    try:
        piece = base64.b64decode(data, validate=True)
    except (ValueError, TypeError):
        raise nonsense("a piece") from None
    if len(piece) > length:
        raise nonsense("a piece")
    return piece
