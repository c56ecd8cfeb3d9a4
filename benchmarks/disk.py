"""What the disk itself costs: the floor under every durable record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGE = b"x" * 4096
_PAGES = 4096


class Disk:
    """A file that is written page by page, each one on disk before the next."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._page = 0

    def write_page(self) -> None:
        """Write one page over another and wait for the disk."""
        os.pwrite(self._file, _PAGE, len(_PAGE) * self._page)
        os.fdatasync(self._file)
        self._page = (self._page + 1) % _PAGES


@contextmanager
def disk(folder: Path) -> Iterator[Disk]:
    """A file of some size in ``folder``, written once already."""
    file = os.open(folder / "pages", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        os.pwrite(file, _PAGE * _PAGES, 0)
        os.fsync(file)
        yield Disk(file)
    finally:
        os.close(file)
