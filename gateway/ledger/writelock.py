"""One writer at a time, between threads and between processes.

SQLite has a lock of its own, but its busy handler sleeps in steps of up to 100 ms, and before
3.51.3 a commit beside a checkpoint in another process can lose a transaction (the "WAL reset"
race). Under this lock no two connections ever write or checkpoint at once.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trilemma.errors import LedgerError

_PATIENCE = 20.0
_FIRST_NAP, _LONGEST_NAP = 0.0001, 0.002


class WriteLock:
    """A lock file beside the ledger. A process that dies lets go of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.RLock()
        self._held = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LedgerError(f"cannot open {str(path)!r}: {error.strerror}") from error

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            LedgerError: another process does not let go of it, or this thread has it already.

        """
        with self._threads:
            if self._held:
                raise LedgerError("the ledger is written from inside one of its transactions")
            self._lock_file()
            self._held = True
            try:
                yield
            finally:
                self._held = False
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock file."""
        os.close(self._file)

    def _lock_file(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        nap = _FIRST_NAP
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LedgerError(
                        f"another process holds {str(self._path)!r} for more than "
                        f"{_PATIENCE:.0f} s; stop that process"
                    ) from None
            else:
                return
            time.sleep(nap)
            nap = min(nap * 2, _LONGEST_NAP)
