"""After a crash: sessions whose gateway is gone are closed, their open calls become unknown."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from .events import RESERVES, SETTLES, Event, Kind, Recorded
from .store import Ledger
from .view import View

_UNKNOWN = {
    reserve: unknown
    for unknown, reserve in SETTLES.items()
    if unknown in (Kind.CALL_UNKNOWN, Kind.MODEL_UNKNOWN)
}


def recover(ledger: Ledger, alive: Callable[[str], bool]) -> list[Recorded]:
    """Close what dead gateways left open. Safe to run at any time, by several at once.

    A call that was reserved and never settled may have had its effect or not. It is recorded
    as unknown, and nothing repeats it; what it took stays taken.

    Args:
        ledger: where to look.
        alive: tells whether a gateway's instance, as ``session.opened`` names it in its
            body, still runs. A session that names none counts as dead.

    Returns:
        What was recorded.

    """
    done: list[Recorded] = []
    for opened in ledger.open_sessions():
        if not alive(str(opened.event.body.get("instance", ""))):
            done += ledger.transact(partial(_closing, opened))
    return done


def _closing(opened: Recorded, view: View) -> Sequence[Event]:
    session = opened.event.session
    if Kind.SESSION_CLOSED in view.session_stages(session):
        return []
    unknown = [_as_unknown(reserved.event) for reserved in _unsettled(view, opened)]
    closed = replace(
        opened.event,
        kind=Kind.SESSION_CLOSED,
        takes=frozenset(),
        joins={},
        opens={},
        body={"reason": "crashed"},
    )
    return [*unknown, closed]


def _unsettled(view: View, opened: Recorded) -> list[Recorded]:
    reserved: dict[str, Recorded] = {}
    after = opened.seq
    while page := view.page(after, {"session": opened.event.session}):
        for found in page:
            if found.event.kind in RESERVES:
                reserved[found.event.call] = found
            elif found.event.kind in SETTLES:
                reserved.pop(found.event.call, None)
        after = page[-1].seq
    return list(reserved.values())


def _as_unknown(event: Event) -> Event:
    return Event(
        kind=_UNKNOWN[event.kind],
        principal=event.principal,
        domain=event.domain,
        session=event.session,
        call=event.call,
        workspace=event.workspace,
        what=event.what,
        body={"reason": "crashed"},
    )
