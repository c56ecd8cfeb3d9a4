"""Writing one event: what follows from it is added, the rules are checked, the chain goes on."""

import secrets
from datetime import UTC, datetime

from trilemma.errors import LedgerError, LedgerTampered

from .events import Event, Kind, Recorded
from .fold import Held
from .rows import FORMAT, GENESIS, chain_hash, event_row, join_rows
from .rules import check, complete
from .view import View

_LAZY = frozenset(
    kind for kind in Kind if kind.split(".")[0] in {"call", "model", "egress", "sandbox", "run"}
)


def write(view: View, event: Event) -> Recorded:
    """Add one event to the open transaction that ``view`` belongs to.

    Raises:
        LedgerError: it would break a rule.
        WorkspaceError: it opens a workspace that another domain has open.

    """
    if (event.kind is Kind.LEDGER_OPENED) != (view.head.seq == 0):
        raise LedgerError(f"{event.kind} is the first event of a ledger, and only the first")
    event = complete(event, view)
    check(event, view)
    seq = view.head.seq + 1
    row = event_row(event, seq, datetime.now(UTC).isoformat(timespec="microseconds"))
    joins = join_rows(event, seq)
    row = row._replace(hash=chain_hash(view.head.hash or GENESIS, row, joins))
    view.write(row, joins)
    return Recorded(seq, row.at, row.hash, event)


def first_event() -> Event:
    """The event that makes an empty file a ledger with a name of its own."""
    body = {"ledger": secrets.token_hex(16), "format": FORMAT}
    return Event(kind=Kind.LEDGER_OPENED, what="ledger", body=body)


def check_tail(view: View) -> None:
    """Check the newest event against the one before it; ``verify`` checks them all.

    Raises:
        LedgerTampered: it does not follow.

    """
    before = view.hash_at(view.head.seq - 1) or GENESIS
    for row, joins in view.rows(after=view.head.seq - 1):
        if chain_hash(before, row, joins) != row.hash:
            raise LedgerTampered(f"event {row.seq}, the last, does not follow the one before it")


def is_lazy(event: Event, held: Held | None = None) -> bool:
    """True for what may be lost to a power cut at durability ``normal``.

    Anything that changes a label must be on disk before its effect: files outlive a power cut.
    """
    if event.kind not in _LAZY or event.joins or event.opens:
        return False
    return not event.takes or (held is not None and not held.writing)
