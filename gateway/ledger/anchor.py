"""A second place that remembers the ledger's head, so that a rolled back ledger is noticed."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import LedgerError, LedgerTampered

from .events import Head

_WIDTH = 256
"""Fixed, and far below a disk sector: one write replaces it whole."""


@dataclass(frozen=True, slots=True)
class AnchorMark:
    """A ledger, and a position that it once had on disk."""

    ledger: str
    head: Head

    def missing(self) -> LedgerTampered:
        """The error for a ledger that is empty or gone while the mark is there."""
        return LedgerTampered(
            f"the anchor remembers ledger {self.ledger} with {self.head.seq} events, but here is "
            "none: put it back, or remove the anchor to begin anew"
        )

    def check(self, ledger: str, hash_at: Callable[[int], str | None]) -> None:
        """Refuse a ledger that does not hold the remembered event.

        Raises:
            LedgerTampered: it is another ledger, or was rolled back or rewritten.

        """
        if ledger != self.ledger:
            raise LedgerTampered(f"the anchor remembers ledger {self.ledger}, this is {ledger}")
        found = hash_at(self.head.seq)
        if found != self.head.hash:
            how = "rolled back" if found is None else "rewritten"
            raise LedgerTampered(
                f"the ledger was {how}: the anchor remembers event {self.head.seq}"
            )


class Anchor:
    """A small file outside the ledger. It only ever names what the disk already holds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def read(self) -> AnchorMark | None:
        """The mark, or None where there is no file yet.

        Raises:
            LedgerTampered: the file does not hold a mark.

        """
        try:
            mark = json.loads(self._path.read_text("ascii"))
            return AnchorMark(str(mark["ledger"]), Head(int(mark["seq"]), str(mark["hash"])))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(f"anchor {str(self._path)!r}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerTampered(f"anchor {str(self._path)!r} does not hold a mark") from error

    def write(self, ledger: str, head: Head) -> None:
        """Move the mark on. Survives the process at once, a power cut a little later.

        Raises:
            LedgerError: the file cannot be written.

        """
        mark = json.dumps({"ledger": ledger, "seq": head.seq, "hash": head.hash})
        try:
            if self._file < 0:
                self._file = self._open()
            os.pwrite(self._file, mark.ljust(_WIDTH - 1).encode("ascii") + b"\n", 0)
        except OSError as error:
            raise LedgerError(f"anchor {str(self._path)!r}: {error.strerror}") from error

    def close(self) -> None:
        """Put the mark on disk and close the file."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
