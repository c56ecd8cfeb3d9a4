"""Room for the write-ahead log, made before it is needed.

A commit that makes its file longer waits for the file system's own journal too, and takes twice
the time of one that writes where something lay already. SQLite writes the log from its beginning
again after each checkpoint; until the first, zeros lie where it will write. It takes them for the
end of the log, as it does whatever an earlier round left behind.
"""

import contextlib
import os
from pathlib import Path

PAGES = 1000
"""After how many pages SQLite begins the log anew: 4 MiB."""
_ZEROS = bytes(64 * 1024)
_SIZE = PAGES * (4096 + 24)
_SCARCE = 16 * _SIZE
"""Where no more than this is free, what is left is kept for events."""


def make_room(ledger: Path) -> None:
    """Lengthen the log of a ledger with zeros; only while nobody else writes it.

    It is for speed alone: where it fails, the commit that needs the room says what is wrong.
    """
    with contextlib.suppress(OSError):
        log = os.open(ledger.with_name(ledger.name + "-wal"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            free = os.fstatvfs(log)
            if free.f_bavail * free.f_frsize < _SCARCE:
                return
            for offset in range(os.fstat(log).st_size, _SIZE, len(_ZEROS)):
                os.pwrite(log, _ZEROS, offset)
        finally:
            os.close(log)
