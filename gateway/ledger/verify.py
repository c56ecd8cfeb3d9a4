"""Is the ledger what was recorded? Every hash, every column, every rule, from the first event."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import LedgerTampered, TrilemmaError

from . import connection as database
from .anchor import Anchor
from .events import Head, Kind
from .replay import Replay
from .rows import GENESIS, EventRow, JoinRow, chain_hash, join_rows, recorded
from .rules import check
from .view import FoldCache, View


@dataclass(frozen=True, slots=True)
class Verified:
    """A ledger that is what was recorded."""

    ledger_id: str
    events: int
    head: Head
    """Whoever kept an earlier head elsewhere can ask ``Ledger.knows``."""
    domains: int
    unsettled: int
    """Calls without an outcome: running, or left by a crash that nobody recovered yet."""


_NOTHING = Verified("", 0, Head(0, GENESIS), 0, 0)
"""A file in which no ledger was begun: its gateway ended before that."""


def verify(path: Path, *, anchor: Path | None = None) -> Verified:
    """Check a ledger from its first event to its newest; others may use it meanwhile.

    It finds every change to what was recorded that does not rewrite all hashes after it. Whoever
    can write the file can do that too, or cut off its end: the anchor and the marks in the
    workspaces, which hold earlier heads, notice it. A file in which no ledger was begun holds no
    event and is none that was changed, unless the anchor remembers one.

    Raises:
        LedgerTampered: the first event that is wrong, and why.
        LedgerError: the file cannot be read.

    """
    path = Path(path).absolute()
    with database.translated(path), closing(database.reader(path)) as connection:
        # Before the first look, for it moves on with the ledger.
        mark = Anchor(anchor).read() if anchor else None
        connection.execute("BEGIN")
        if database.is_blank(connection):
            if mark:
                raise mark.missing()
            return _NOTHING
        database.check_tables(connection, path)
        _check_pages(connection, path)
        view = View(connection, FoldCache())
        replay = _replay(view)
        if view.orphans():
            raise LedgerTampered(f"{view.orphans()} rows of joins belong to no event")
        ledger_id = view.ledger_id()
        if mark:
            mark.check(ledger_id, view.hash_at)
        return Verified(ledger_id, view.head.seq, view.head, replay.domains, replay.unsettled)


def _check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """An index that lost an entry would hide an event from a fold."""
    try:
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise LedgerTampered(f"ledger {str(path)!r}: its pages are damaged: {found}")


def _replay(view: View) -> Replay:
    replay = Replay()
    head = Head(0, GENESIS)
    for row, joins in view.rows():
        if row.seq != head.seq + 1:
            raise LedgerTampered(f"event {head.seq + 1}: it is missing")
        try:
            _check_event(row, joins, head, replay)
        except TrilemmaError as error:
            text = str(error).removeprefix(f"event {row.seq}: ")
            raise LedgerTampered(f"event {row.seq}: {text}") from error
        head = Head(row.seq, row.hash)
    if head.seq == 0:
        raise LedgerTampered("the ledger is empty: its first event is missing")
    return replay


def _check_event(row: EventRow, joins: Sequence[JoinRow], before: Head, replay: Replay) -> None:
    if chain_hash(before.hash, row, joins) != row.hash:
        raise LedgerTampered("its hash does not fit: it, or the event before it, was changed")
    found = recorded(row, joins)
    if join_rows(found.event, row.seq) != list(joins):
        raise LedgerTampered("its rows in joins disagree with it")
    if (found.event.kind is Kind.LEDGER_OPENED) != (row.seq == 1):
        raise LedgerTampered(f"{found.event.kind} is the first event, and only the first")
    check(found.event, replay)
    replay.apply(found, joins)
