"""Reading the ledger up to one position: folds that go on from where the last one ended."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trilemma.errors import LedgerTampered

from . import statements as sql
from .events import Head, Kind, Recorded
from .fold import Held, Taken, WorkspaceState, charge, join, take, touch
from .rows import EventRow, JoinRow, recorded

_PAGE = 500
_CACHED = 4096


@dataclass(slots=True)
class FoldCache:
    """Folds by domain, by workspace and by account, each with the position it reaches.

    An entry is replaced as a whole and holds committed events only, so threads may share it:
    the worst that can happen is that a fold starts from an older one.
    """

    held: dict[str, tuple[int, Held]] = field(default_factory=dict)
    workspaces: dict[str, tuple[int, WorkspaceState | None]] = field(default_factory=dict)
    spent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def bound(self) -> None:
        """Forget everything once there is too much of it."""
        for entries in (self.held, self.workspaces, self.spent):
            if len(entries) > _CACHED:
                entries.clear()


class View:
    """The ledger as it was at ``head``."""

    def __init__(self, connection: sqlite3.Connection, cache: FoldCache) -> None:
        row = connection.execute(sql.HEAD).fetchone()
        self._connection = connection
        self._cache = cache
        self.head = Head(0, "") if row is None else Head(*row)
        self._committed = self.head.seq

    def held(self, domain: str) -> Held:
        """What the domain holds, has used up and has open."""
        after, held = self._cache.held.get(domain, (0, Held()))
        if after >= self.head.seq:
            return held
        span: dict[str, str | int] = {"domain": domain, "after": after, "upto": self.head.seq}
        if self._all(sql.CHANGED, span)[0][0]:
            held = self._folded(held, span)
        if self.head.seq <= self._committed:
            self._cache.held[domain] = (self.head.seq, held)
        return held

    def workspace(self, name: str) -> WorkspaceState | None:
        """The label and the users of a workspace or layer; None where it is not known."""
        none: tuple[int, WorkspaceState | None] = (0, None)
        after, state = self._cache.workspaces.get(name, none)
        if after >= self.head.seq:
            return state
        span: dict[str, str | int] = {"workspace": name, "after": after, "upto": self.head.seq}
        state = join(state, (JoinRow(*row) for row in self._all(sql.JOINS_INTO, span)))
        if self.head.seq <= self._committed:
            self._cache.workspaces[name] = (self.head.seq, state)
        return state

    def touching(self, name: str, after: int = 0) -> list[int]:
        """The positions of all events that touch a workspace or layer."""
        span: dict[str, str | int] = {"workspace": name, "after": after, "upto": self.head.seq}
        return [row[0] for row in self._all(sql.JOINS_INTO, span)]

    def spent(self, account: str) -> int:
        """What was ever charged to an account that outlasts domains."""
        after, spent = self._cache.spent.get(account, (0, 0))
        if after >= self.head.seq:
            return spent
        span: dict[str, str | int] = {"account": account, "after": after, "upto": self.head.seq}
        spent += int(self._all(sql.SPENT, span)[0][0])
        if self.head.seq <= self._committed:
            self._cache.spent[account] = (self.head.seq, spent)
        return spent

    def spent_by_account(self) -> dict[str, int]:
        """Every such account that anything was charged to."""
        return {str(name): int(sum) for name, sum in self._all(sql.SPENT_BY_ACCOUNT, {})}

    def stages(self, call: str) -> frozenset[Kind]:
        """The kinds of all events of the call."""
        return frozenset(Kind(kind) for (kind,) in self._all(sql.STAGES, {"call": call}))

    def session_stages(self, session: str) -> frozenset[Kind]:
        """Which of session.opened and session.closed stand in the ledger."""
        rows = self._all(sql.SESSION_STAGES, {"session": session})
        return frozenset(Kind(kind) for (kind,) in rows)

    def hash_at(self, seq: int) -> str | None:
        """The hash of the event at a position, or None past the head."""
        rows = self._all(sql.HASH_AT, {"seq": seq})
        return str(rows[0][0]) if rows else None

    def of_call(self, call: str) -> list[Recorded]:
        """Every event of the call, oldest first."""
        return self._recorded(sql.OF_CALL, {"call": call})

    def newest_of_call(self, call: str) -> Recorded | None:
        """The newest event of the call."""
        return next(iter(self._recorded(sql.NEWEST_OF_CALL, {"call": call})), None)

    def session(self, session: str) -> Recorded | None:
        """The event that opened the session."""
        return next(iter(self._recorded(sql.SESSION_OPENED, {"session": session})), None)

    def open_sessions(self) -> list[Recorded]:
        """The session.opened events of all sessions that are not closed."""
        return self._recorded(sql.OPEN_SESSIONS, {})

    def event(self, seq: int) -> Recorded | None:
        """The event at a position."""
        found = self._recorded(sql.EVENTS_AFTER, {"after": seq - 1, "limit": 1})
        return found[0] if found and found[0].seq == seq else None

    def page(self, after: int, filters: dict[str, str]) -> list[Recorded]:
        """The next events after a position that match the filters."""
        empty = {"kind": "", "domain": "", "session": "", "workspace": ""}
        return self._recorded(sql.FILTERED, {**empty, **filters, "after": after, "limit": _PAGE})

    def ledger_id(self) -> str:
        """The name that the first event gave to this ledger.

        Raises:
            LedgerTampered: the first event gives none.

        """
        try:
            return str(json.loads(self._all(sql.FIRST_BODY, {})[0][0])["ledger"])
        except (IndexError, ValueError, KeyError, TypeError) as error:
            raise LedgerTampered("event 1 does not name the ledger") from error

    def rows(self, after: int = 0) -> Iterator[tuple[EventRow, list[JoinRow]]]:
        """Every event as stored, with what it joins."""
        while page := self._stored(sql.EVENTS_AFTER, {"after": after, "limit": _PAGE}):
            yield from page
            after = page[-1][0].seq

    def orphans(self) -> int:
        """How many rows of ``joins`` belong to no event."""
        rows = self._all("SELECT count(*) FROM joins WHERE seq NOT IN (SELECT seq FROM events)", {})
        return int(rows[0][0])

    def write(self, row: EventRow, joins: list[JoinRow]) -> None:
        """Add one event's rows. Only a transaction does this; nothing of it is cached yet."""
        self._connection.execute(sql.INSERT_EVENT, row)
        if joins:
            self._connection.executemany(sql.INSERT_JOIN, joins)
        self.head = Head(row.seq, row.hash)

    def _folded(self, held: Held, span: Mapping[str, str | int]) -> Held:
        for row in self._all(sql.TAKES, span):
            held = take(held, Taken(*row))
        if sums := self._all(sql.CHARGES, span):
            held = charge(held, dict(sums))
        if touches := [JoinRow(*row) for row in self._all(sql.TOUCHES, span)]:
            held = replace(held, opened=touch(held.opened, touches))
        return held

    def _recorded(self, statement: str, values: Mapping[str, str | int]) -> list[Recorded]:
        return [recorded(row, joins) for row, joins in self._stored(statement, values)]

    def _stored(
        self, statement: str, values: Mapping[str, str | int]
    ) -> list[tuple[EventRow, list[JoinRow]]]:
        rows = [EventRow(*row) for row in self._all(statement, values)]
        if not rows:
            return []
        joins: dict[int, list[JoinRow]] = {}
        span = {"first": rows[0].seq, "last": rows[-1].seq}
        for found in self._all(sql.JOINS_OF, span):
            joins.setdefault(found[0], []).append(JoinRow(*found))
        return [(row, joins.get(row.seq, [])) for row in rows]

    def _all(self, statement: str, values: Mapping[str, str | int]) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()
