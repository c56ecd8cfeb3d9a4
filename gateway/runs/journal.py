"""Append-only records, each chained to all before it.

A line is the SHA-256 over the line before and this record, then the record as JSON. So one digest
vouches for everything up to it, and a line that was only half written is no line.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trilemma.errors import LedgerError

Record = Mapping[str, Any]

UNFINISHED = ".new"
"""How a file is called that is not there whole."""

_DIGEST = 64
_GENESIS = "0" * _DIGEST


@dataclass(frozen=True, slots=True)
class Entry:
    """A record in its place."""

    record: Record
    digest: str
    """Vouches for this record and all before it."""
    end: int
    """Where the next one begins, in bytes."""


class Journal:
    """A file of records, open for more. What was appended is on disk."""

    def __init__(self, path: Path, descriptor: int, digest: str) -> None:
        self.path = path
        self.digest = digest
        self._descriptor = descriptor
        self._broken = False

    @classmethod
    def begin(cls, path: Path, first: Record) -> Self:
        """A new file with one record: it is there whole, or not at all.

        Raises:
            LedgerError: it cannot be written.
        """
        fresh = path.with_suffix(UNFINISHED)
        digest, line = _line(_GENESIS, first)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(fresh, flags | os.O_NOFOLLOW, 0o600)
            try:
                _write(descriptor, line)
                os.replace(fresh, path)
                _sync_directory(path.parent)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise _unwritable(path, error) from None
        return cls(path, descriptor, digest)

    @classmethod
    def resume(cls, path: Path, last: Entry) -> Self:
        """Go on after a record; what follows it is cut off.

        Raises:
            LedgerError: it cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            os.ftruncate(descriptor, last.end)
        except OSError as error:
            raise _unwritable(path, error) from None
        return cls(path, descriptor, last.digest)

    def append(self, record: Record) -> str:
        """Write one more record; its digest.

        Raises:
            LedgerError: it cannot be written. Nothing more can be, then: half of it may be there.
        """
        digest, line = _line(self.digest, record)
        try:
            if self._broken:
                raise OSError("an earlier record could not be written")
            _write(self._descriptor, line)
        except OSError as error:
            self._broken = True
            raise _unwritable(self.path, error) from None
        self.digest = digest
        return digest

    def close(self) -> None:
        """Let go of the file; twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._broken = -1, True


def entries(path: Path) -> Iterator[Entry]:
    """The records of a file, up to the first that is torn or does not follow the one before.

    Who reads them must know a digest from elsewhere, and trust nothing that comes after it.
    """
    before, end = _GENESIS, 0
    with open(path, "rb") as file:
        for line in file:
            digest, record = line[:_DIGEST], line[_DIGEST + 1 : -1]
            expected = _digest(before, record)
            if not line.endswith(b"\n") or digest != expected.encode():
                return
            before, end = expected, end + len(line)
            yield Entry(json.loads(record), expected, end)


def _line(before: str, record: Record) -> tuple[str, bytes]:
    # ASCII with escapes: any text that a model writes fits, half a surrogate pair as well.
    text = json.dumps(record, separators=(",", ":")).encode()
    digest = _digest(before, text)
    return digest, digest.encode() + b" " + text + b"\n"


def _digest(before: str, text: bytes) -> str:
    return hashlib.sha256(before.encode() + text).hexdigest()


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fdatasync(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"the run cannot be kept in {str(path)!r}: {error.strerror or error}; nothing more may run"
    )
