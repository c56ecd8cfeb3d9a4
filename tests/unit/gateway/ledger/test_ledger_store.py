from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.errors import LedgerError, WorkspaceError
from trilemma.gateway.ledger import writing
from trilemma.gateway.ledger.events import Event, Kind, Use
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import NONE, CapabilitySet, parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act

Reserve = Callable[..., Reservation]
FILES, INTERNET, CODE = (parse([name]) for name in ("files", "internet", "code"))


def created(name: str, label: CapabilitySet = NONE) -> Event:
    return Event(kind=Kind.WORKSPACE_CREATED, workspace=name, joins={name: label})


def opened(
    name: str,
    use: Use = Use.WRITE,
    *,
    domain: str = "d",
    session: str = "s",
    takes: CapabilitySet = NONE,
    joins: CapabilitySet = NONE,
) -> Event:
    return Event(
        kind=Kind.WORKSPACE_OPENED,
        domain=domain,
        session=session,
        workspace=name,
        opens={name: use},
        takes=takes,
        joins={name: joins},
    )


def test_events_come_back_as_they_were_recorded(ledger: Ledger) -> None:
    event = Event(
        kind=Kind.LAYER_CREATED,
        principal="me",
        domain="d",
        session="s",
        call="c",
        workspace="w",
        what="layer of w",
        takes=FILES,
        joins={"w": NONE, "layer": FILES},
        account="bytes",
        charge=7,
        body={"text": "line\n\x1b[31m\ud800", "n": [1, None, True]},
    )
    recorded = ledger.append(event)
    assert ledger.event(recorded.seq) == recorded
    assert recorded.event == event
    assert ledger.knows(recorded.seq, recorded.hash)
    assert not ledger.knows(recorded.seq + 1, recorded.hash)
    assert ledger.head() == recorded.head


def test_what_a_domain_holds_outlives_the_process(path: Path, reserve: Reserve) -> None:
    with Ledger.open(path) as first:
        reserve(first, "c1", ["files"])
        name = first.ledger_id
    with Ledger.open(path) as second:
        held = second.held("d")
        assert second.ledger_id == name
        assert held.capabilities == FILES
        assert [(c.capability, c.what) for c in held.cause] == [("files", "a tool")]
        assert second.held("other") == Held()


def test_the_third_capability_is_denied_and_takes_nothing(ledger: Ledger, reserve: Reserve) -> None:
    assert reserve(ledger, "c1", ["files", "code"]).recorded.event.takes == FILES | CODE
    denied = reserve(ledger, "c2", ["internet"])
    assert denied.recorded.event.kind is Kind.CALL_DENIED
    assert denied.recorded.event.takes == NONE
    assert ledger.held("d").capabilities == FILES | CODE


def test_an_engine_that_always_allows_does_not_reach_three(
    ledger: Ledger, reserve: Reserve
) -> None:
    def allow(request: AccessRequest) -> Decision:
        return Decision(Verdict.ALLOW, (), "sha256:0", request.taking)

    reserve(ledger, "c1", ["files", "code"], decide=allow)
    with pytest.raises(LedgerError, match="third_capability"):
        reserve(ledger, "c2", ["internet"], decide=allow)
    assert ledger.held("d").capabilities == FILES | CODE
    assert ledger.find_call("c2") == []


def test_an_engine_that_ignores_the_grants_does_not_leave_them(ledger: Ledger) -> None:
    def build(held: Held) -> AccessRequest:
        return AccessRequest(Act.TOOL, "me", CODE, held.capabilities, FILES | INTERNET)

    def write(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
        return Event(kind=Kind.CALL_RESERVED, domain="d", call="c", takes=new)

    with pytest.raises(LedgerError, match="outside_grants"):
        ledger.reserve("d", build, lambda r: Decision(Verdict.ALLOW, (), "x", r.taking), write)
    assert ledger.held("d").capabilities == NONE


def test_a_decision_that_forgets_what_it_takes_takes_it_all_the_same(
    ledger: Ledger, reserve: Reserve
) -> None:
    reserve(ledger, "c1", ["files"], decide=lambda r: Decision(Verdict.ALLOW, (), "x"))
    assert ledger.held("d").capabilities == FILES


def test_a_need_for_approval_takes_nothing(ledger: Ledger, reserve: Reserve) -> None:
    def ask(request: AccessRequest) -> Decision:
        return Decision(Verdict.NEEDS_APPROVAL, ("approval",), "x", request.taking)

    reserve(ledger, "c1", ["files"], decide=ask)
    assert ledger.held("d").capabilities == NONE


def test_an_event_that_hides_what_was_taken_is_refused(ledger: Ledger) -> None:
    def build(held: Held) -> AccessRequest:
        return AccessRequest(Act.TOOL, "me", FILES, held.capabilities, None)

    def write(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
        return Event(kind=Kind.CALL_RESERVED, domain="d", call="c")

    with pytest.raises(LedgerError, match="does not record what was decided"):
        ledger.reserve("d", build, lambda r: Decision(Verdict.ALLOW, (), "x", r.taking), write)


def test_a_call_is_reserved_once_and_settled_once(ledger: Ledger, reserve: Reserve) -> None:
    done = Event(kind=Kind.CALL_COMMITTED, domain="d", session="s", call="c1")
    with pytest.raises(LedgerError, match="never reserved"):
        ledger.append(done)
    reserve(ledger, "c1")
    with pytest.raises(LedgerError, match="cannot be reserved"):
        reserve(ledger, "c1")
    ledger.append(done)
    with pytest.raises(LedgerError, match="settled already"):
        ledger.append(done)
    kinds = [found.event.kind for found in ledger.find_call("c1")]
    assert kinds == [Kind.CALL_RESERVED, Kind.CALL_COMMITTED]


def test_many_events_are_recorded_all_or_none(ledger: Ledger) -> None:
    before = ledger.head()
    with pytest.raises(LedgerError, match="never reserved"):
        ledger.append_many(
            [
                Event(kind=Kind.DOMAIN_OPENED, domain="d", takes=FILES),
                Event(kind=Kind.CALL_COMMITTED, call="never"),
            ]
        )
    assert ledger.head() == before
    assert ledger.held("d").capabilities == NONE


def test_a_closed_session_reserves_nothing(ledger: Ledger, reserve: Reserve) -> None:
    ledger.append(Event(kind=Kind.SESSION_OPENED, domain="d", session="s"))
    reserve(ledger, "c1", ["files"])
    assert [r.event.session for r in ledger.open_sessions()] == ["s"]
    ledger.append(Event(kind=Kind.SESSION_CLOSED, domain="d", session="s"))
    with pytest.raises(LedgerError, match="is closed"):
        reserve(ledger, "c2", ["files"])
    ledger.append(Event(kind=Kind.CALL_COMMITTED, domain="d", session="s", call="c1"))
    assert ledger.open_sessions() == []


def test_charges_add_up_and_are_never_given_back(ledger: Ledger) -> None:
    for amount in (5, 7):
        ledger.append(Event(kind=Kind.EGRESS_ALLOWED, domain="d", account="bytes", charge=amount))
    ledger.append(Event(kind=Kind.EGRESS_ALLOWED, domain="d", account="bits", charge=1))
    assert ledger.charged("d", "bytes") == 12
    assert ledger.held("d").charged == {"bytes": 12, "bits": 1}
    with pytest.raises(LedgerError, match="cannot charge -1"):
        ledger.append(Event(kind=Kind.EGRESS_CLOSED, domain="d", account="bytes", charge=-1))


def test_a_workspace_is_known_once_it_was_created(ledger: Ledger) -> None:
    assert ledger.label("w") is None
    with pytest.raises(LedgerError, match="not known"):
        ledger.append(opened("w"))
    ledger.append(created("w", INTERNET))
    assert ledger.label("w") == INTERNET
    ledger.append(created("own"))
    assert ledger.label("own") == NONE


def test_opening_takes_the_label(ledger: Ledger) -> None:
    ledger.append(created("w", INTERNET))
    with pytest.raises(LedgerError, match=r"takes its label \{internet\}"):
        ledger.append(opened("w", Use.READ, takes=FILES))
    ledger.append(opened("w", Use.READ, takes=FILES | INTERNET))
    assert ledger.held("d").capabilities == FILES | INTERNET
    assert ledger.held("d").writing == frozenset()


def test_opening_for_writing_joins_what_the_domain_holds(ledger: Ledger) -> None:
    ledger.append_many([created("w"), created("v")])
    ledger.append(opened("w", takes=FILES))
    assert ledger.label("w") == FILES
    ledger.append(opened("v", joins=FILES | INTERNET))
    assert ledger.label("v") == FILES | INTERNET


def test_what_a_domain_takes_later_joins_into_all_it_has_open_for_writing(
    ledger: Ledger, path: Path, reserve: Reserve
) -> None:
    ledger.append_many([created(name) for name in ("read", "layer", "direct", "closed")])
    ledger.append(opened("read", Use.READ, takes=FILES))
    ledger.append_many([opened("layer"), opened("direct", session="t"), opened("closed")])
    ledger.append(
        Event(kind=Kind.LAYER_CLOSED, domain="d", session="s", closes=frozenset({"closed"}))
    )
    taken = reserve(ledger, "c1", ["code"]).recorded.event
    assert taken.joins == {"layer": FILES | CODE, "direct": FILES | CODE}
    labels = {name: ledger.label(name) for name in ("read", "layer", "direct", "closed")}
    assert labels == {
        "read": NONE,
        "layer": FILES | CODE,
        "direct": FILES | CODE,
        "closed": FILES,
    }
    verify(path)


def test_sabotage_without_the_automatic_joins_the_rules_refuse_and_without_rules_labels_are_shed(
    ledger: Ledger, path: Path, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(created("w"))
    ledger.append(opened("w", takes=FILES))
    monkeypatch.setattr(writing, "complete", lambda event, facts: event)
    with pytest.raises(LedgerError, match="the label of 'w' must join"):
        reserve(ledger, "c1", ["code"])
    monkeypatch.setattr(writing, "check", lambda event, facts: None)
    reserve(ledger, "c2", ["code"])
    assert ledger.label("w") == FILES
    assert ledger.held("d").capabilities == FILES | CODE
    with pytest.raises(LedgerError, match="the label of 'w' must join"):
        verify(path)


def test_a_workspace_that_one_domain_writes_is_closed_to_others(ledger: Ledger) -> None:
    ledger.append(created("w"))
    ledger.append(opened("w"))
    for use in Use:
        with pytest.raises(WorkspaceError, match="in use"):
            ledger.append(opened("w", use, domain="e", session="t"))
    ledger.append(opened("w", session="same domain"))
    ledger.append(Event(kind=Kind.SESSION_CLOSED, domain="d", session="s"))
    with pytest.raises(WorkspaceError, match="in use"):
        ledger.append(opened("w", domain="e", session="t"))
    ledger.append(Event(kind=Kind.SESSION_CLOSED, domain="d", session="same domain"))
    ledger.append(opened("w", domain="e", session="t"))


def test_readers_of_other_domains_keep_a_writer_out(ledger: Ledger) -> None:
    ledger.append(created("w"))
    ledger.append(opened("w", Use.READ))
    ledger.append(opened("w", Use.READ, domain="e", session="t"))
    with pytest.raises(WorkspaceError, match="open to read"):
        ledger.append(opened("w", Use.WRITE))


def test_a_session_that_ends_closes_what_it_had_open(ledger: Ledger) -> None:
    ledger.append_many([created("w"), created("v"), opened("w"), opened("v", Use.READ)])
    closed = ledger.append(Event(kind=Kind.SESSION_CLOSED, domain="d", session="s"))
    assert closed.event.closes == {"w", "v"}
    assert ledger.held("d").opened == frozenset()


def test_events_are_found_by_what_they_are_about(ledger: Ledger, reserve: Reserve) -> None:
    ledger.append(Event(kind=Kind.SESSION_OPENED, domain="d", session="s"))
    reserve(ledger, "c1", ["files"])
    reserve(ledger, "c2", domain="e", session="t")
    assert [r.event.call for r in ledger.calls("s")] == ["c1"]
    assert [r.event.call for r in ledger.events(domain="e")] == ["c2"]
    assert [r.seq for r in ledger.events(kind=Kind.LEDGER_OPENED)] == [1]
    assert [r.seq for r in ledger.events(after=3)] == [4]
    assert [r.seq for r in ledger.events()] == [1, 2, 3, 4]
    assert ledger.event(99) is None


def test_a_long_ledger_is_listed_whole(ledger: Ledger) -> None:
    ledger.append_many([Event(kind=Kind.SANDBOX_CREATED, domain="d")] * 1201)
    assert [r.seq for r in ledger.events()] == list(range(1, 1203))


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_both_durabilities_record_the_same(path: Path, durability: str, reserve: Reserve) -> None:
    with Ledger.open(path, durability=durability) as ledger:  # type: ignore[arg-type]
        reserve(ledger, "c1", ["files"])
        ledger.append(created("w", INTERNET))
    assert verify(path).events == 3
