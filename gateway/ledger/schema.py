"""The ledger's tables, in SQLAlchemy Core: the one schema, whatever the database.

Importing SQLAlchemy takes longer than most sessions spend in the ledger, so the running
ledger does not: ``statements.py`` holds the SQL that this schema compiles to, and a test
keeps the two equal.
"""

from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text, literal_column
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql.elements import ColumnElement

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("principal", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("call", Text, nullable=False),
    Column("workspace", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("takes", Integer, nullable=False),
    Column("account", Text, nullable=False),
    Column("charge", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("hash", Text, nullable=False),
    sqlite_strict=True,
)

joins = Table(
    "joins",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("workspace", Text, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("bits", Integer, nullable=False),
    Column("touch", Integer, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)


def _partial(name: str, where: ColumnElement[bool], *columns: Column[Any]) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


_zero: ColumnElement[int] = literal_column("0")
_empty: ColumnElement[str] = literal_column("''")
_lifecycle: list[ColumnElement[str]] = [
    literal_column("'session.opened'"),
    literal_column("'session.closed'"),
]

# Every append writes each index that covers it, so an index covers only what a fold reads.
_partial("events_takes", events.c.takes != _zero, events.c.domain, events.c.seq)
_partial(
    "events_charge",
    events.c.charge != _zero,
    events.c.domain,
    events.c.seq,
    events.c.account,
    events.c.charge,
)
_partial(
    "events_crossing",
    events.c.kind == literal_column("'crossing.passed'"),
    events.c.account,
    events.c.seq,
    events.c.charge,
)
_partial("events_call", events.c.call != _empty, events.c.call)
_partial("events_session", events.c.kind.in_(_lifecycle), events.c.session, events.c.kind)
Index("joins_workspace", joins.c.workspace, joins.c.seq)
_partial("joins_touch", joins.c.touch != _zero, joins.c.domain, joins.c.seq)


def sqlite_ddl() -> tuple[str, ...]:
    """The statements that create the tables and indexes in SQLite."""
    made: list[str] = []
    for table in (events, joins):
        text = str(CreateTable(table).compile(dialect=sqlite.dialect()))
        made.append(" ".join(text.split()))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            made.append(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
    return tuple(made)
