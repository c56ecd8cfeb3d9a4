import subprocess
import sys
from pathlib import Path

import pytest

from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.ledger.recovery import recover
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import from_bits
from trilemma.sandbox.runtime import alive

KILLS = 120
SCRIPT = Path(__file__).with_name("crash_ledger.py")


@pytest.fixture(scope="module")
def wreck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is left after writers were killed at random moments, and the notes they made."""
    folder = tmp_path_factory.mktemp("wreck")
    subprocess.run([sys.executable, str(SCRIPT), str(folder), str(KILLS)], check=True)
    return folder


def effects(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "effects").read_text().splitlines()]


def test_it_verifies_after_every_kill(wreck: Path) -> None:
    verified = verify(wreck / "ledger.db", anchor=wreck / "anchor")
    assert verified.events > KILLS
    assert verified.domains > 1
    assert len(effects(wreck)) > KILLS


def test_no_capability_that_was_used_is_lost(wreck: Path) -> None:
    with Ledger.open(wreck / "ledger.db") as ledger:
        for call, domain, bits, _ in effects(wreck):
            assert from_bits(int(bits)) <= ledger.held(domain).capabilities, call
            assert len(ledger.held(domain).capabilities) <= 2


def test_no_label_is_shed(wreck: Path) -> None:
    with Ledger.open(wreck / "ledger.db") as ledger:
        for call, _, bits, layer in effects(wreck):
            label = ledger.label(layer)
            assert label is not None
            assert from_bits(int(bits)) <= label, call


def test_no_call_counts_as_done_that_was_not_and_none_ran_unrecorded(wreck: Path) -> None:
    ran = {line[0] for line in effects(wreck)}
    with Ledger.open(wreck / "ledger.db") as ledger:
        committed = {r.event.call for r in ledger.events(kind=Kind.CALL_COMMITTED)}
        reserved = {r.event.call for r in ledger.events(kind=Kind.CALL_RESERVED)}
    assert committed <= ran <= reserved
    assert len(ran) > len(committed), "no kill fell between an effect and its commit"


def test_recovery_closes_every_dead_session_and_repeats_nothing(wreck: Path) -> None:
    ran = {line[0] for line in effects(wreck)}
    with Ledger.open(wreck / "ledger.db") as ledger:
        committed = {r.event.call for r in ledger.events(kind=Kind.CALL_COMMITTED)}
        unknown = {
            r.event.call for r in recover(ledger, alive) if r.event.kind is Kind.CALL_UNKNOWN
        }
        assert ran - committed <= unknown
        assert not unknown & committed
        assert ledger.open_sessions() == []
        assert recover(ledger, alive) == []
        assert all(not ledger.held(f"d{n}").opened for n in range(12))
    assert verify(wreck / "ledger.db").unsettled == 0
