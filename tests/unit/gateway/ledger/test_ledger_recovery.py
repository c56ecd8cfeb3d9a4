import threading
from collections.abc import Callable
from pathlib import Path

from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify

Reserve = Callable[..., Reservation]


def session(name: str, gateway: str) -> Event:
    return Event(kind=Kind.SESSION_OPENED, domain="d", session=name, body={"instance": gateway})


def test_only_the_sessions_of_dead_gateways_are_closed(
    ledger: Ledger, path: Path, reserve: Reserve
) -> None:
    ledger.append_many([session("living", "one"), session("dead", "two")])
    ledger.append(Event(kind=Kind.WORKSPACE_CREATED, joins={"w": frozenset()}))
    ledger.append(
        Event(kind=Kind.WORKSPACE_OPENED, domain="d", session="dead", opens={"w": Use.WRITE})
    )
    reserve(ledger, "running", session="living")
    reserve(ledger, "lost", ["files"], session="dead")
    reserve(ledger, "done", session="dead")
    ledger.append(Event(kind=Kind.CALL_COMMITTED, domain="d", session="dead", call="done"))
    ledger.append(Event(kind=Kind.MODEL_RESERVED, domain="d", session="dead", call="thought"))

    recovered = recover(ledger, lambda gateway: gateway == "one")

    assert [(r.event.kind, r.event.call) for r in recovered] == [
        (Kind.CALL_UNKNOWN, "lost"),
        (Kind.MODEL_UNKNOWN, "thought"),
        (Kind.SESSION_CLOSED, ""),
    ]
    assert recovered[-1].event.closes == {"w"}
    assert [r.event.session for r in ledger.open_sessions()] == ["living"]
    assert [str(c) for c in ledger.held("d").capabilities] == ["files"]
    assert verify(path).unsettled == 1


def test_two_that_recover_at_once_record_everything_once(ledger: Ledger, path: Path) -> None:
    for number in range(20):
        ledger.append(session(f"s{number}", "gone"))
    threads = [threading.Thread(target=recover, args=(ledger, lambda _: False)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    closed = [r.event.session for r in ledger.events(kind=Kind.SESSION_CLOSED)]
    assert sorted(closed) == sorted(f"s{n}" for n in range(20))
    verify(path)
