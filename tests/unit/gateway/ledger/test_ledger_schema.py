import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from trilemma.gateway.ledger import statements
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.rows import EventRow, JoinRow
from trilemma.gateway.ledger.schema import events, joins, sqlite_ddl
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify


def test_the_running_ledger_has_the_tables_of_the_schema() -> None:
    assert sorted(statements.TABLES) == sorted(sqlite_ddl())


def test_rows_have_the_columns_of_the_schema_in_their_order() -> None:
    assert EventRow._fields == tuple(events.columns.keys())
    assert JoinRow._fields == tuple(joins.columns.keys())


def test_the_running_ledger_does_not_load_sqlalchemy() -> None:
    code = "import sys, trilemma.gateway.ledger.store; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


QUERIES = [
    *["HEAD", "CHANGED", "TAKES", "CHARGES", "SPENT", "TOUCHES", "JOINS_INTO", "JOINS_OF"],
    *["STAGES", "SESSION_STAGES", "OF_CALL", "HASH_AT", "EVENTS_AFTER"],
]


@pytest.mark.parametrize("name", QUERIES)
def test_what_a_call_asks_is_answered_by_an_index(name: str) -> None:
    connection = sqlite3.connect(":memory:")
    for table in statements.TABLES:
        connection.execute(table)
    values = dict.fromkeys(
        [
            "domain",
            "after",
            "upto",
            "workspace",
            "first",
            "last",
            "call",
            "session",
            "seq",
            "account",
        ],
        0,
    )
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN {getattr(statements, name)}", {**values, "limit": 1}
    ).fetchall()
    connection.close()
    steps = [row[3] for row in plan]
    # The head is the last entry of the table: a scan that ends at its first step.
    scans = ["SCAN events"] if name == "HEAD" else []
    assert [s for s in steps if s.startswith(("SCAN events", "SCAN joins"))] == scans, steps


def test_a_ledger_of_an_earlier_version_verifies_and_is_brought_up_to_this_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        ledger.append(Event(kind=Kind.DOMAIN_OPENED, domain="dom_1"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX events_crossing")
    assert verify(path).events == 2
    with Ledger.open(path) as ledger:
        assert ledger.spent("crossing/principal/me") == 0
    with closing(sqlite3.connect(path)) as connection:
        assert len(connection.execute(statements.SCHEMA).fetchall()) == len(statements.TABLES)
