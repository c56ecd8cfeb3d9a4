"""One process's hold on a ledger file: a writing and a reading connection, and their locks."""

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trilemma.errors import LedgerError

from . import connection as database
from .connection import Durability
from .events import Head
from .fold import Held
from .room import make_room
from .view import FoldCache, View
from .writelock import WriteLock

_living: weakref.WeakSet["Handle"] = weakref.WeakSet()
_inherited: list[object] = []


class Handle:
    """The file of one ledger, open in one process."""

    def __init__(self, path: Path, begin: Callable[[View], object]) -> None:
        """Open it. ``begin`` writes into the tables of a new one, which are made with that."""
        self.path = path
        self._cache = FoldCache()
        self._reading = threading.Lock()
        self._trouble = ""
        self._open = True
        self._level: Durability | None = None
        database.prepare(path)
        self._lock = WriteLock(path.with_name(path.name + ".lock"))
        try:
            with self._lock.hold(), database.translated(path):
                self._writer = database.writer(path)
                self._reader = self._prepare_tables(begin)
        except BaseException:
            self._lock.close()
            raise
        self._name = str(path)
        self._identity = _identity(self._name)
        self._last = 0
        _living.add(self)

    @contextmanager
    def transaction(
        self, durability: Durability, committed: Callable[[Head], None] | None = None
    ) -> Iterator[View]:
        """Write: the view is the newest state, and nobody else changes it meanwhile.

        Everything is committed at the end, or nothing; then ``committed`` is told the head.

        Raises:
            LedgerError: the ledger cannot be written, or is not the file it was.

        """
        self._check_open()
        with self._lock.hold(), database.translated(self.path):
            self._check_file()
            self._synchronous(durability)
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                view = View(self._writer, self._cache)
                self._check_head(view, self._last)
                yield view
                self._writer.execute("COMMIT")
                self._last = view.head.seq
            except BaseException as error:
                self._abandon(error)
                raise
            if committed:
                committed(view.head)

    @contextmanager
    def reading(self) -> Iterator[View]:
        """Read: the view is the newest committed state."""
        self._check_open()
        # Taken first: a commit may come between, and must not look like a rollback.
        last = self._last
        with self._reading, database.translated(self.path):
            try:
                view = View(self._reader, self._cache)
            except sqlite3.Error:
                self._check_file()
                raise
            self._check_head(view, last)
            self._cache.bound()
            yield view

    def recent(self, domain: str) -> Held | None:
        """What the domain held when this process last looked; others may have written since."""
        found = self._cache.held.get(domain)
        return None if found is None else found[1]

    def checkpoint(self) -> Head:
        """Put everything that is committed on disk; up to where that is."""
        self._check_open()
        with self._lock.hold(), database.translated(self.path):
            head = View(self._writer, self._cache).head
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return head

    def make_room(self) -> None:
        """Make the next commits quick: see :mod:`trilemma.gateway.ledger.room`."""
        self._check_open()
        with self._lock.hold():
            make_room(self.path)

    @property
    def usable(self) -> bool:
        """False once it is closed, or something went wrong for good."""
        return not self._trouble

    def close(self) -> None:
        """Close the connections. The last process to do so folds the log into the file."""
        if not self._open:
            return
        with self._lock.hold(), self._reading, database.translated(self.path):
            self._reader.close()
            self._writer.close()
        self._open, self._trouble = False, "it is closed"
        self._lock.close()
        _living.discard(self)

    def forget(self) -> None:
        """In a forked child: keep away from the parent's connections, and let go of its lock.

        SQLite forbids even closing them here, so they are kept alive instead.
        """
        self._open = False
        self._trouble = "it was opened before this process was forked; open it again here"
        _inherited.extend((self._reader, self._writer))
        self._lock.close()

    def _prepare_tables(self, begin: Callable[[View], object]) -> sqlite3.Connection:
        try:
            if database.is_blank(self._writer):
                self._make(lambda: self._begin_tables(begin))
            database.check_tables(self._writer, self.path)
            if database.lacks_indexes(self._writer):
                self._make(lambda: database.add_indexes(self._writer))
            return database.reader(self.path)
        except BaseException:
            self._writer.close()
            raise

    def _begin_tables(self, begin: Callable[[View], object]) -> None:
        database.create_tables(self._writer)
        begin(View(self._writer, self._cache))

    def _make(self, make: Callable[[], object]) -> None:
        """All of it or nothing: so tables without an event are never what a crash left."""
        self._synchronous("full")
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            make()
            self._writer.execute("COMMIT")
        except BaseException as error:
            self._abandon(error)
            raise

    def _synchronous(self, durability: Durability) -> None:
        if durability != self._level:
            database.synchronous(self._writer, durability)
            self._level = durability

    def _check_open(self) -> None:
        if self._trouble:
            raise LedgerError(f"ledger {str(self.path)!r}: {self._trouble}")

    def _check_file(self) -> None:
        self._check_open()
        if _identity(self._name) != self._identity:
            self._trouble = "the file was moved, deleted or replaced while it was in use"
            raise LedgerError(f"ledger {str(self.path)!r}: {self._trouble}")

    def _check_head(self, view: View, last: int) -> None:
        if view.head.seq < last:
            self._trouble = f"it was rolled back from event {last} to {view.head.seq} while in use"
            raise LedgerError(f"ledger {str(self.path)!r}: {self._trouble}")

    def _abandon(self, error: BaseException) -> None:
        """Undo an unfinished transaction. After an I/O error nothing here is trusted again."""
        if isinstance(error, sqlite3.Error) and database.is_broken(error):
            self._trouble = f"writing failed ({error}); open it again"
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def _after_fork_in_child() -> None:
    for handle in list(_living):
        handle.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
