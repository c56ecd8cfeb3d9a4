import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from trilemma.errors import LedgerError, LedgerTampered
from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.rows import GENESIS, EventRow, JoinRow, chain_hash
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import parse

Reserve = Callable[..., Reservation]


@pytest.fixture
def filled(path: Path, reserve: Reserve) -> Path:
    """A closed ledger of eight events; number five takes {files} and joins two labels."""
    with Ledger.open(path) as ledger:
        ledger.append_many(
            [
                Event(kind=Kind.SESSION_OPENED, principal="me", domain="d", session="s"),
                Event(kind=Kind.WORKSPACE_CREATED, workspace="w", joins={"w": parse([])}),
                Event(kind=Kind.LAYER_CREATED, workspace="l", joins={"l": parse([])}),
            ]
        )
        ledger.append(
            Event(
                kind=Kind.WORKSPACE_OPENED,
                principal="me",
                domain="d",
                session="s",
                call="o",
                workspace="w",
                what="workspace w",
                takes=parse(["files"]),
                opens={"w": Use.WRITE, "l": Use.WRITE},
                account="opened",
                charge=1,
                body={"mode": "direct"},
            )
        )
        reserve(ledger, "c1", ["files"])
        ledger.append(Event(kind=Kind.CALL_COMMITTED, domain="d", session="s", call="c1"))
        reserve(ledger, "c2", ["code"])
    return path


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def rehash(path: Path) -> None:
    """What an attacker does who knows the format: make the chain fit again."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        before = GENESIS
        for found in connection.execute("SELECT * FROM events ORDER BY seq").fetchall():
            row = EventRow(*found)
            joins = connection.execute("SELECT * FROM joins WHERE seq = ?", [row.seq]).fetchall()
            before = chain_hash(before, row, [JoinRow(*join) for join in joins])
            connection.execute("UPDATE events SET hash = ? WHERE seq = ?", [before, row.seq])


def test_an_untouched_ledger_verifies(filled: Path) -> None:
    verified = verify(filled)
    assert verified.events == verified.head.seq == 8
    assert verified.unsettled == 1
    assert verified.domains == 1


@pytest.mark.parametrize("column", EventRow._fields[1:])
def test_a_change_in_any_column_of_an_event_is_noticed(filled: Path, column: str) -> None:
    change = f"{column} = 4" if column in ("takes", "charge") else f"{column} = {column} || ' '"
    tamper(filled, f"UPDATE events SET {change} WHERE seq = 5")
    with pytest.raises(LedgerTampered, match="event 5: its hash does not fit"):
        verify(filled)


@pytest.mark.parametrize("column", JoinRow._fields)
def test_a_change_in_any_column_of_joins_is_noticed(filled: Path, column: str) -> None:
    text = column in ("workspace", "domain", "session")
    change = f"{column} || ' '" if text else f"{column} + 1"
    tamper(filled, f"UPDATE joins SET {column} = {change} WHERE seq = 5 AND workspace = 'w'")
    with pytest.raises(LedgerTampered, match="event 5: its hash does not fit"):
        verify(filled)


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM events WHERE seq = 5", "event 5: it is missing"),
        ("DELETE FROM events WHERE seq = 1", "event 1: it is missing"),
        ("DELETE FROM events", "empty"),
        ("DELETE FROM joins WHERE seq = 5 AND workspace = 'l'", "event 5: its hash"),
        ("INSERT INTO joins VALUES (6, 'x', 'd', 's', 0, 0)", "event 6: its hash"),
        ("INSERT INTO joins VALUES (99, 'w', 'd', 's', 0, 0)", "belong to no event"),
        ("UPDATE events SET seq = 99 WHERE seq = 8", "event 8: it is missing"),
        ("INSERT INTO events SELECT 9, at, kind, principal, domain, session, call, workspace, "
         "what, takes, account, charge, body, hash FROM events WHERE seq = 8", "event 9: its hash"),
    ],
)  # fmt: skip
def test_a_row_added_moved_or_removed_is_noticed(filled: Path, statement: str, why: str) -> None:
    tamper(filled, statement)
    with pytest.raises(LedgerTampered, match=why):
        verify(filled)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON events BEGIN UPDATE events SET takes = 0; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP INDEX events_takes",
        "ALTER TABLE events ADD COLUMN extra TEXT",
    ],
)
def test_other_tables_than_a_ledgers_are_neither_verified_nor_opened(
    filled: Path, statement: str
) -> None:
    tamper(filled, statement)
    with pytest.raises(LedgerTampered, match="does not hold the tables"):
        verify(filled)
    with pytest.raises(LedgerTampered, match="does not hold the tables"):
        Ledger.open(filled)


def test_an_index_that_hides_a_capability_is_noticed(filled: Path) -> None:
    index = "SELECT sql FROM sqlite_master WHERE name = 'events_takes'"
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        (real,) = connection.execute(index).fetchone()
        fake = "CREATE INDEX events_takes ON events (domain, seq) WHERE takes = 99"
        connection.execute("PRAGMA writable_schema = ON")
        change = "UPDATE sqlite_master SET sql = ? WHERE name = 'events_takes'"
        connection.execute(change, [fake])
        connection.execute("PRAGMA writable_schema = RESET")
        connection.execute("REINDEX events_takes")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(change, [real])
    with Ledger.open(filled) as ledger:
        assert ledger.held("d").capabilities == frozenset()
    with pytest.raises(LedgerTampered, match="its pages are damaged"):
        verify(filled)


def test_a_forged_chain_that_breaks_a_rule_is_noticed(filled: Path) -> None:
    tamper(filled, "UPDATE events SET takes = 7 WHERE seq = 5")
    rehash(filled)
    with pytest.raises(LedgerTampered, match="event 5: third_capability"):
        verify(filled)


def test_a_forged_chain_that_sheds_a_label_is_noticed(filled: Path) -> None:
    tamper(filled, "UPDATE joins SET bits = 0 WHERE seq = 8 AND workspace = 'w'")
    rehash(filled)
    with pytest.raises(LedgerTampered, match="event 8: the label of 'w' must join"):
        verify(filled)


def test_a_forged_chain_that_commits_twice_is_noticed(filled: Path) -> None:
    tamper(filled, "UPDATE events SET kind = 'call.committed', call = 'c1', takes = 0, body = '{}' "
                   "WHERE seq = 8", "DELETE FROM joins WHERE seq = 8")  # fmt: skip
    rehash(filled)
    with pytest.raises(LedgerTampered, match=r"event 8: .*settled already"):
        verify(filled)


def test_an_unknown_kind_is_noticed(filled: Path) -> None:
    tamper(filled, "UPDATE events SET kind = 'call.forgotten' WHERE seq = 7")
    rehash(filled)
    with pytest.raises(LedgerTampered, match="event 7: unreadable row"):
        verify(filled)


def cut_off_the_tail(path: Path) -> None:
    tamper(path, "DELETE FROM events WHERE seq = 8", "DELETE FROM joins WHERE seq = 8")


def forge(path: Path) -> None:
    tamper(path, "UPDATE events SET takes = 0 WHERE seq = 8", "DELETE FROM joins WHERE seq = 8")
    rehash(path)


@pytest.mark.parametrize(("attack", "left"), [(cut_off_the_tail, 7), (forge, 8)])
def test_without_an_anchor_a_cut_or_a_forgery_that_keeps_the_rules_is_not_noticed(
    filled: Path, attack: Callable[[Path], None], left: int
) -> None:
    attack(filled)
    assert verify(filled).events == left


@pytest.mark.parametrize(
    ("attack", "why"),
    [(cut_off_the_tail, "rolled back"), (forge, "rewritten"), (Path.unlink, "here is none")],
)
def test_with_an_anchor_it_is_noticed(
    filled: Path, tmp_path: Path, attack: Callable[[Path], None], why: str
) -> None:
    anchor = tmp_path / "elsewhere" / "anchor"
    with Ledger.open(filled, anchor=anchor) as ledger:
        assert verify(filled, anchor=anchor).head == ledger.head()
    attack(filled)
    with pytest.raises(LedgerTampered, match=why):
        Ledger.open(filled, anchor=anchor)


@pytest.mark.parametrize("how", ["emptied", "replaced", "gone"])
def test_a_ledger_that_was_emptied_is_noticed_through_the_anchor(
    filled: Path, tmp_path: Path, how: str
) -> None:
    anchor = tmp_path / "anchor"
    Ledger.open(filled, anchor=anchor).close()
    filled.write_bytes(b"")
    if how == "replaced":
        tamper(filled, "PRAGMA journal_mode = WAL")
    if how == "gone":
        filled.unlink()
    else:
        with pytest.raises(LedgerTampered, match=r"the anchor remembers .* but here is none"):
            verify(filled, anchor=anchor)
    with pytest.raises(LedgerTampered, match=r"the anchor remembers .* but here is none"):
        Ledger.open(filled, anchor=anchor)
    anchor.unlink()
    # As long as nobody else remembers it: this is what a beginning looks like.
    with Ledger.open(filled, anchor=anchor):
        assert verify(filled, anchor=anchor).events == 1


def test_tables_that_were_removed_or_emptied_are_no_beginning(filled: Path) -> None:
    tamper(filled, "DELETE FROM events", "DELETE FROM joins")
    with pytest.raises(LedgerTampered, match="event 1 does not name the ledger"):
        Ledger.open(filled)
    tamper(filled, "DROP TABLE events", "DROP TABLE joins")
    for look in (verify, Ledger.open):
        with pytest.raises(LedgerTampered, match="does not hold the tables"):
            look(filled)


def test_the_anchor_knows_one_ledger_from_another(path: Path, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    with Ledger.open(path, anchor=anchor):
        pass
    other = tmp_path / "other.db"
    with Ledger.open(other):
        pass
    with pytest.raises(LedgerTampered, match="the anchor remembers ledger"):
        verify(other, anchor=anchor)
    anchor.write_text("nonsense")
    with pytest.raises(LedgerTampered, match="does not hold a mark"):
        Ledger.open(path, anchor=anchor)


def test_a_rolled_back_copy_is_noticed_through_the_anchor(
    path: Path, tmp_path: Path, reserve: Reserve
) -> None:
    anchor, backup = tmp_path / "anchor", tmp_path / "backup.db"
    with Ledger.open(path, anchor=anchor):
        pass
    shutil.copy(path, backup)
    with Ledger.open(path, anchor=anchor) as ledger:
        reserve(ledger, "c1", ["files", "code"])
    shutil.copy(backup, path)
    with pytest.raises(LedgerTampered, match="rolled back"):
        Ledger.open(path, anchor=anchor)


def test_a_ledger_rolled_back_while_it_is_in_use_stops(ledger: Ledger, path: Path) -> None:
    ledger.append(Event(kind=Kind.DOMAIN_OPENED, domain="d", takes=parse(["files"])))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM events WHERE seq = 2")
    with pytest.raises(LedgerError, match="rolled back from event 2 to 1"):
        ledger.append(Event(kind=Kind.DOMAIN_OPENED, domain="d"))


def test_a_damaged_last_event_is_noticed_on_opening(filled: Path) -> None:
    tamper(filled, "UPDATE events SET takes = 0 WHERE seq = 8")
    with pytest.raises(LedgerTampered, match="event 8, the last"):
        Ledger.open(filled)
