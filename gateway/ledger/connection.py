"""SQLite as the ledger needs it: settings, files that only their owner reads, one-line errors."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from trilemma.errors import LedgerError, LedgerTampered

from . import statements as sql
from .room import PAGES

Durability = Literal["full", "normal"]

_BUSY_SECONDS = 5.0
_CHECKPOINT = f"PRAGMA wal_autocheckpoint = {PAGES}"
"""A checkpoint is a pause of some ms, once in some hundred calls."""
_BROKEN = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SETTINGS = (
    # A trigger or view that somebody slipped in must not call functions with effects.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    # A long reader can make the log grow; it is cut back at the next reset.
    "PRAGMA journal_size_limit = 67108864",
)


def prepare(path: Path) -> None:
    """Make the ledger's folder and an empty file where there is none, durably.

    Raises:
        LedgerError: the folder or the file cannot be made, or is something else.

    """
    try:
        _make_folder(path.parent)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            _sync_folder(path.parent)
    except OSError as error:
        raise LedgerError(f"cannot make the ledger {str(path)!r}: {error.strerror}") from error
    if not path.is_file():
        raise LedgerError(f"the ledger {str(path)!r} is not a file; name another place")


def writer(path: Path) -> sqlite3.Connection:
    """The one connection of a process that writes."""
    return _connect(path, "PRAGMA journal_mode = WAL", _CHECKPOINT)


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return _connect(path, "PRAGMA query_only = ON")


def is_blank(connection: sqlite3.Connection) -> bool:
    """Whether no table was ever made here; where some were removed, the count of changes stays."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return (tables, connection.execute("PRAGMA schema_version").fetchone()[0]) == (0, 0)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty ledger, in the open transaction."""
    for statement in sql.TABLES:
        connection.execute(statement)


def check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database with other tables, or with a trigger or view added to ours.

    Raises:
        LedgerTampered: the tables are not a ledger's.

    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        raise LedgerError(f"ledger {str(path)!r}: its file system cannot keep a write-ahead log")
    found = _schema(connection)
    if sorted(found + _lacking(found)) != sorted(sql.TABLES):
        raise LedgerTampered(f"{str(path)!r} does not hold the tables of a ledger of this version")


def add_indexes(connection: sqlite3.Connection) -> None:
    """Bring a ledger of an earlier version up to this one, in the open transaction."""
    for statement in _lacking(_schema(connection)):
        connection.execute(statement)


def lacks_indexes(connection: sqlite3.Connection) -> bool:
    """Whether it is a ledger of an earlier version."""
    return bool(_lacking(_schema(connection)))


def _schema(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute(sql.SCHEMA)]


def _lacking(found: list[str]) -> list[str]:
    return [statement for statement in sql.LATER if statement not in found]


def synchronous(connection: sqlite3.Connection, durability: Durability) -> None:
    """Set whether the next commit waits until the disk has it."""
    connection.execute(f"PRAGMA synchronous = {durability}")


def is_broken(error: sqlite3.Error) -> bool:
    """True where what the disk holds is no longer certain."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BROKEN


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's exceptions into one clear line.

    Raises:
        LedgerError: the ledger cannot be read or written.

    """
    try:
        yield
    except sqlite3.Error as error:
        raise LedgerError(f"ledger {str(path)!r}: {_reason(error)}") from error
    except UnicodeEncodeError as error:
        raise LedgerError(
            f"text that is not Unicode cannot be recorded: {error.object!r}"
        ) from error


def _reason(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return {
        sqlite3.SQLITE_FULL: "the disk is full; nothing runs that cannot be recorded: free space",
        sqlite3.SQLITE_READONLY: "it cannot be written; nothing runs that cannot be recorded",
        sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check that it is yours and writable",
        sqlite3.SQLITE_BUSY: "another program holds it; close that program",
        sqlite3.SQLITE_NOTADB: "it is not a ledger",
        sqlite3.SQLITE_CORRUPT: f"it is damaged ({error}); see `trilemma audit verify`",
    }.get(code, str(error))


def _connect(path: Path, *settings: str) -> sqlite3.Connection:
    # check_same_thread is off because the ledger holds a lock of its own around every use.
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for setting in (*_SETTINGS, *settings):
            connection.execute(setting)
        return connection
    except BaseException:
        connection.close()
        raise


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
