"""A secret that crosses in small coin, and each control taken away."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.gateway.crossings.gate import BOOL, crossing, ends

from trilemma.errors import Denied, LedgerError, LedgerTampered
from trilemma.gateway import crossings as crossings_module
from trilemma.gateway.crossings import Crossings
from trilemma.gateway.ledger import writing
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.gateway.ledger.view import View

CANARY = 0b1011_0011_1000_1111_0101_1100
CANARY_BITS = 24


def smuggle(gate: Callable[[], Crossings]) -> int:
    """Send the canary bit by bit, from another session each time; what arrived of it."""
    arrived = 0
    for bit in range(CANARY_BITS):
        value = bool(CANARY >> bit & 1)
        try:
            crossed = gate().pass_down(ends("ws-1", name=str(bit)), BOOL, value)
        except Denied:
            break
        arrived |= int(crossed.value) << bit
    return arrived


def test_a_secret_does_not_cross_in_small_coin(ledger: Ledger) -> None:
    arrived = smuggle(lambda: crossing(ledger, 20))
    assert arrived == CANARY & 0x3FF


def test_sabotage_without_the_charge_a_secret_crosses_in_small_coin(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossings_module, "_charged", lambda event, account, bits: event)
    monkeypatch.setattr(writing, "check", lambda event, facts: None)
    assert smuggle(lambda: crossing(ledger, 20)) == CANARY


def test_sabotage_without_the_charge_alone_the_ledger_refuses_to_record(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossings_module, "_charged", lambda event, account, bits: event)
    with pytest.raises(LedgerError, match="must charge its bits"):
        smuggle(lambda: crossing(ledger, 20))


def test_sabotage_accounts_in_memory_are_refilled_by_a_restart(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def since_opened(view: View, account: str) -> int:
        return real(view, account) - before.get(account, 0)

    def restarted() -> Crossings:
        ledger = Ledger.open(path)
        before.update(ledger.spent_by_account())
        opened.append(ledger)
        return crossing(ledger, 20)

    real, opened = View.spent, list[Ledger]()
    before: dict[str, int] = {}
    monkeypatch.setattr(View, "spent", since_opened)
    arrived = smuggle(restarted)
    for ledger in opened:
        ledger.close()
    assert arrived == CANARY
    with pytest.raises(LedgerTampered, match="passes the limit"):
        verify(path)
