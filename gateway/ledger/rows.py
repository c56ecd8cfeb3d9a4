"""Events as rows, and the hash that chains them.

The hash of an event is SHA-256 over the hash before it and over *every* column of its rows,
so no column is derived from anything and none can disagree unnoticed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from trilemma.errors import LedgerError, LedgerTampered

from ...policy.capability import from_bits, to_bits
from .events import Event, Kind, Recorded, Use

FORMAT = 1
GENESIS = "0" * 64
"""Stands for the hash before the first event."""
MAX_BODY = 16 * 2**20

_CANONICAL = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
)


class Touch(IntEnum):
    """How an event touches a workspace, as stored. The numbers never change."""

    JOIN = 0
    READ = 1
    WRITE = 2
    CLOSE = 3
    DROP = 4
    """The bits leave the label."""


_TOUCH_OF = {Use.READ: Touch.READ, Use.WRITE: Touch.WRITE}
_USE_OF = {touch: use for use, touch in _TOUCH_OF.items()}


class EventRow(NamedTuple):
    """A row of the table ``events``, in the order of its columns."""

    seq: int
    at: str
    kind: str
    principal: str
    domain: str
    session: str
    call: str
    workspace: str
    what: str
    takes: int
    account: str
    charge: int
    body: str
    hash: str


class JoinRow(NamedTuple):
    """A row of the table ``joins``: one event touches one workspace."""

    seq: int
    workspace: str
    domain: str
    session: str
    bits: int
    touch: int


def event_row(event: Event, seq: int, at: str) -> EventRow:
    """The event's row; its hash is still empty."""
    return EventRow(
        seq,
        at,
        str(event.kind),
        event.principal,
        event.domain,
        event.session,
        event.call,
        event.workspace,
        event.what,
        to_bits(event.takes),
        event.account,
        event.charge,
        _body(event.body),
        "",
    )


def join_rows(event: Event, seq: int) -> list[JoinRow]:
    """The event's rows in ``joins``, sorted by workspace."""
    names = sorted({*event.joins, *event.opens, *event.closes, *event.drops})
    return [_join_row(event, name, seq) for name in names]


def chain_hash(previous: str, row: EventRow, joins: Iterable[JoinRow]) -> str:
    """The hash of an event that follows ``previous``."""
    content = _CANONICAL.encode([FORMAT, previous, row[:-1], sorted(joins)])
    return hashlib.sha256(content.encode("ascii")).hexdigest()


def recorded(row: EventRow, joins: Iterable[JoinRow]) -> Recorded:
    """The event that the rows hold.

    Raises:
        LedgerTampered: a column holds what no ledger of this format ever wrote.

    """
    try:
        return Recorded(row.seq, row.at, row.hash, _event(row, list(joins)))
    except (ValueError, TypeError, KeyError) as error:
        raise LedgerTampered(f"event {row.seq}: unreadable row ({error})") from error


def _event(row: EventRow, joins: list[JoinRow]) -> Event:
    return Event(
        kind=Kind(row.kind),
        principal=row.principal,
        domain=row.domain,
        session=row.session,
        call=row.call,
        workspace=row.workspace,
        what=row.what,
        takes=from_bits(row.takes),
        joins={
            j.workspace: from_bits(j.bits)
            for j in joins
            if j.touch == Touch.JOIN or (j.bits and j.touch != Touch.DROP)
        },
        opens={j.workspace: _USE_OF[Touch(j.touch)] for j in joins if Touch(j.touch) in _USE_OF},
        closes=frozenset(j.workspace for j in joins if j.touch == Touch.CLOSE),
        drops={j.workspace: from_bits(j.bits) for j in joins if j.touch == Touch.DROP},
        account=row.account,
        charge=row.charge,
        body=json.loads(row.body),
    )


def _join_row(event: Event, name: str, seq: int) -> JoinRow:
    if name in event.drops:
        bits = to_bits(event.drops[name])
        return JoinRow(seq, name, event.domain, event.session, bits, int(Touch.DROP))
    bits = to_bits(event.joins.get(name, frozenset()))
    touch = Touch.CLOSE if name in event.closes else Touch.JOIN
    if name in event.opens:
        touch = _TOUCH_OF[event.opens[name]]
    return JoinRow(seq, name, event.domain, event.session, bits, int(touch))


def _body(body: Mapping[str, Any]) -> str:
    if not body:
        return "{}"
    try:
        text = _CANONICAL.encode(dict(body))
    except (ValueError, TypeError, RecursionError) as error:
        raise LedgerError(f"an event's body cannot be written as JSON: {error}") from error
    if len(text) > MAX_BODY:
        raise LedgerError(f"an event's body has {len(text)} bytes; the limit is {MAX_BODY}")
    return text
