"""What crosses between domains is charged for ever, by whoever, and never beyond the limit."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.unit.gateway.crossings.gate import ANSWER, ASK, BOOL, crossing, ends, pass_all

from trilemma.errors import CrossingError, Denied, LedgerError, LedgerTampered, SpecError
from trilemma.gateway.ledger import writing
from trilemma.gateway.ledger.accounts import principal_account, workspace_account
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.subagents.crossing.answers import FAILURES
from trilemma.subagents.crossing.compound import crossing_type


def test_the_principal_and_every_workspace_pay_the_whole_price(ledger: Ledger) -> None:
    passed = crossing(ledger, 100).pass_down(ends("ws-1", "ws-2"), BOOL, True)
    assert (passed.value, passed.bits) == (True, ASK)
    accounts = [principal_account("user:me"), workspace_account("ws-1"), workspace_account("ws-2")]
    assert ledger.spent_by_account() == dict.fromkeys(sorted(accounts), ASK)
    events = ledger.find_call(passed.id)
    assert [found.event.kind for found in events] == [Kind.CROSSING_PASSED] * 3
    assert {found.event.body["to"] for found in events} == {"ses_1_child"}


def test_where_one_account_has_not_enough_nobody_pays_and_nothing_crosses(ledger: Ledger) -> None:
    gate = crossing(ledger, 4)
    gate.pass_down(ends("ws-full"), BOOL, True)
    before = ledger.spent_by_account()
    with pytest.raises(Denied) as refused:
        gate.pass_up(ends("ws-new", "ws-full", principal="user:other"), BOOL, True)
    assert ledger.spent_by_account() == before
    (event,) = ledger.find_call(refused.value.call)
    assert event.event.kind is Kind.CROSSING_REFUSED
    assert "workspace ws-full has 2 left" in event.event.body["explanation"]


def test_the_last_bit_can_be_spent_and_then_nothing(ledger: Ledger) -> None:
    gate = crossing(ledger, 5 * ASK)
    assert pass_all(lambda: gate.pass_down(ends(), BOOL, True)) == 5
    assert gate.left(ends()) == 0
    assert gate.left(ends(principal="user:other")) == 5 * ASK


def test_a_model_is_not_told_how_much_others_used(ledger: Ledger) -> None:
    texts = set()
    for used in (4, 5):
        gate = crossing(ledger, 5)
        who = ends(principal=f"user:{used}")
        ledger.append(charge(principal_account(who.sender.principal), used, 5))
        with pytest.raises(Denied) as refused:
            gate.pass_down(who, BOOL, True)
        texts.add(str(refused.value))
    assert len(texts) == 1
    assert "trilemma crossings" in texts.pop()


def test_no_new_session_domain_child_or_restart_refills_an_account(path: Path) -> None:
    sent = 0
    for name in "abcd":
        with Ledger.open(path) as ledger:
            gate = crossing(ledger, 10)
            for _ in range(2):
                try:
                    gate.pass_down(ends("ws-1", name=name), BOOL, True)
                except Denied:
                    continue
                sent += ASK
    assert sent == 10


def test_another_principal_in_the_same_workspace_finds_its_account_used(ledger: Ledger) -> None:
    gate = crossing(ledger, 10)
    assert pass_all(lambda: gate.pass_down(ends("ws-1"), BOOL, True)) == 5
    assert pass_all(lambda: gate.pass_down(ends("ws-1", principal="user:b"), BOOL, True)) == 0
    assert pass_all(lambda: gate.pass_down(ends("ws-2"), BOOL, True)) == 0


def test_a_limit_that_was_lowered_later_forgives_nothing(ledger: Ledger) -> None:
    pass_all(lambda: crossing(ledger, 10).pass_down(ends(), BOOL, True))
    assert crossing(ledger, 4).left(ends()) == 0
    assert pass_all(lambda: crossing(ledger, 4).pass_down(ends(), BOOL, True)) == 0
    assert pass_all(lambda: crossing(ledger, 12).pass_down(ends(), BOOL, True)) == 1


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_costs_what_an_answer_costs(ledger: Ledger, failure: str) -> None:
    gate = crossing(ledger, 100)
    assert gate.fail_up(ends(), BOOL, failure).bits == ANSWER
    assert gate.pass_up(ends(), BOOL, False).bits == ANSWER
    assert ledger.spent(principal_account("user:me")) == 2 * ANSWER


def test_no_other_failure_and_no_other_value_crosses(ledger: Ledger) -> None:
    gate = crossing(ledger, 100)
    with pytest.raises(SpecError, match="no failure"):
        gate.fail_up(ends(), BOOL, "exit status 3: /home/me/secret")
    with pytest.raises(CrossingError):
        gate.pass_up(ends(), BOOL, "secret")
    with pytest.raises(SpecError):
        gate.pass_choice(ends(), 3, 3)
    assert ledger.spent_by_account() == {}


def test_who_won_a_race_is_charged(ledger: Ledger) -> None:
    assert [crossing(ledger, 100).pass_choice(ends(), 0, n).bits for n in (1, 2, 3, 8)] == [
        *[1, 1, 2, 3]
    ]


def test_what_arrives_is_the_canonical_value_and_nothing_of_what_was_sent(ledger: Ledger) -> None:
    record = crossing_type({"record": {"a": "bool", "b": {"optional": "bool"}}}, "test")
    passed = crossing(ledger, 100).pass_up(ends(), record, {"b": True, "a": False})
    assert list(passed.value.items()) == [("a", False), ("b", True)]


def test_free_text_is_recorded_and_not_counted(ledger: Ledger, path: Path) -> None:
    free = crossing_type("free", "test")
    passed = crossing(ledger, 0).pass_down(ends("ws-1"), free, "anything at all")
    assert passed.value == "anything at all"
    assert ledger.spent_by_account() == {}
    (event,) = ledger.find_call(passed.id)
    assert "anything" not in str(event.event)
    verify(path)


def charge(account: str, bits: int, limit: Any, kind: Kind = Kind.CROSSING_PASSED) -> Event:
    body = {"limit": limit, "free": False}
    return Event(kind=kind, domain="d", account=account, charge=bits, body=body)


ACCOUNT = principal_account("user:me")


@pytest.mark.parametrize(
    "event",
    [
        charge(ACCOUNT, 11, 10),
        charge(ACCOUNT, 0, 10),
        charge(ACCOUNT, -5, 10),
        charge(ACCOUNT, 1, None),
        charge(ACCOUNT, 1, True),
        charge("egress.tunnel", 1, 10),
        charge("", 0, 10),
        charge(ACCOUNT, 1, 10, Kind.EGRESS_ALLOWED),
        charge(ACCOUNT, -1, 10, Kind.EGRESS_CLOSED),
        Event(kind=Kind.CROSSING_PASSED, domain="d", body={"free": 1}),
    ],
)
def test_the_ledger_itself_takes_no_crossing_that_is_not_paid(ledger: Ledger, event: Event) -> None:
    with pytest.raises(LedgerError):
        ledger.append(event)
    assert ledger.spent(ACCOUNT) == 0


def test_an_account_that_was_overdrawn_behind_its_back_is_found(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(path) as ledger, monkeypatch.context() as sabotage:
        sabotage.setattr(writing, "check", lambda event, facts: None)
        for _ in range(2):
            ledger.append(charge(ACCOUNT, 6, 10))
    with pytest.raises(LedgerTampered, match=r"event 3: .*passes the limit of 10"):
        verify(path)


Act = tuple[str, frozenset[str], bool]
acts = st.lists(
    st.tuples(
        st.sampled_from(["user:a", "user:b"]),
        st.frozensets(st.sampled_from(["ws-1", "ws-2"])),
        st.booleans(),
    ),
    max_size=20,
)


@settings(max_examples=30, deadline=None)
@given(acts, st.integers(0, 20))
def test_any_sequence_charges_what_a_naive_account_book_says(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[Act], limit: int
) -> None:
    book: Counter[str] = Counter()
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"
    for principal, workspaces, down in sequence:
        bits = ASK if down else ANSWER
        accounts = [principal_account(principal), *map(workspace_account, workspaces)]
        allowed = all(book[account] + bits <= limit for account in accounts)
        with Ledger.open(path, durability="normal") as ledger:
            gate = crossing(ledger, limit)
            send = gate.pass_down if down else gate.pass_up
            try:
                send(ends(*workspaces, principal=principal), BOOL, True)
            except Denied:
                assert not allowed
            else:
                assert allowed
                book.update(dict.fromkeys(accounts, bits))
            assert ledger.spent_by_account() == +book
