import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.errors import LedgerError
from trilemma.gateway.ledger import store, writing
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.gateway.ledger.verify import verify
from trilemma.policy.capability import ALL, Capability, CapabilitySet, ordered, parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act
from trilemma.policy.rule import violation

Reserve = Callable[..., Reservation]
NEEDS = ["files", "internet", "code"]


def together(*acts: Callable[[], object]) -> list[BaseException]:
    """Run all at once; what they raised."""
    raised: list[BaseException] = []

    def guarded(act: Callable[[], object]) -> None:
        try:
            act()
        except LedgerError as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def decide_after(barrier: threading.Barrier) -> Callable[[AccessRequest], Decision]:
    """Decides by the rule, but first waits until every thread has read what is held."""
    waited = threading.local()

    def decide(request: AccessRequest) -> Decision:
        if not hasattr(waited, "once"):
            waited.once = True
            barrier.wait(timeout=30)
        broken = violation(request.held, request.taking, request.grants)
        return Decision(Verdict.DENY if broken else Verdict.ALLOW, (), "x", request.taking)

    return decide


def race(ledger: Ledger, reserve: Reserve) -> list[BaseException]:
    """Three calls that each take another capability, all decided while nothing is held."""
    decide = decide_after(threading.Barrier(3))
    return together(*(lambda n=n: reserve(ledger, n, [n], decide=decide) for n in NEEDS))


def never_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sabotage: inside the transaction, believe what was read outside."""
    held = threading.local()
    settle = store._settle

    def remember(domain: Held, *rest: object) -> store._Proposal:
        held.read = domain
        return propose(domain, *rest)  # type: ignore[arg-type]

    class Credulous:
        def __init__(self, view: object) -> None:
            self._view = view

        def held(self, domain: str) -> Held:
            return held.read  # type: ignore[no-any-return]

        def __getattr__(self, name: str) -> object:
            return getattr(self._view, name)

    propose = store._propose
    transaction = Ledger._transaction

    class Wrapped:
        def __init__(self, ledger: Ledger, lazy: bool) -> None:
            self._real = transaction(ledger, lazy=lazy)

        def __enter__(self) -> Credulous:
            return Credulous(self._real.__enter__())

        def __exit__(self, *error: object) -> object:
            return self._real.__exit__(*error)  # type: ignore[arg-type]

    def settle_on_the_real_view(view: Credulous, *rest: object) -> Reservation:
        return settle(view._view, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_propose", remember)
    monkeypatch.setattr(store, "_settle", settle_on_the_real_view)
    monkeypatch.setattr(Ledger, "_transaction", lambda self, lazy: Wrapped(self, lazy))


def test_three_parallel_calls_never_take_three(
    ledger: Ledger, path: Path, reserve: Reserve
) -> None:
    assert race(ledger, reserve) == []
    assert len(ledger.held("d").capabilities) == 2
    denied = list(ledger.events(kind=Kind.CALL_DENIED))
    assert len(denied) == 1
    verify(path)


def test_sabotage_without_the_second_look_only_the_rule_in_the_transaction_holds(
    ledger: Ledger, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_look_again(monkeypatch)
    raised = race(ledger, reserve)
    assert [str(error).split(":")[0] for error in raised] == ["third_capability"]
    assert len(ledger.held("d").capabilities) == 2


def test_sabotage_without_second_look_and_rule_three_are_taken(
    ledger: Ledger, path: Path, reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_look_again(monkeypatch)
    monkeypatch.setattr(writing, "check", lambda event, facts: None)
    monkeypatch.setattr(store, "violation", lambda held, taking, grants: None)
    assert race(ledger, reserve) == []
    assert ledger.held("d").capabilities == ALL
    with pytest.raises(LedgerError, match="third_capability"):
        verify(path)


def test_budgets_are_not_overdrawn_by_parallel_charges(ledger: Ledger) -> None:
    budget, amount = 100, 7
    barrier = threading.Barrier(8)

    def build(held: Held) -> AccessRequest:
        left = budget - held.charged.get("bytes", 0)
        return AccessRequest(Act.EGRESS, str(left), frozenset(), held.capabilities, None)

    def decide(request: AccessRequest) -> Decision:
        verdict = Verdict.ALLOW if int(request.principal) >= amount else Verdict.DENY
        return Decision(verdict, (), "x")

    def write(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
        if not decision.allowed:
            return Event(kind=Kind.EGRESS_DENIED, domain="d")
        return Event(kind=Kind.EGRESS_ALLOWED, domain="d", account="bytes", charge=amount)

    def spend() -> None:
        barrier.wait(timeout=30)
        for _ in range(5):
            ledger.reserve("d", build, decide, write)

    assert together(*[spend] * 8) == []
    assert ledger.charged("d", "bytes") == budget // amount * amount
    assert len(list(ledger.events(kind=Kind.EGRESS_ALLOWED))) == budget // amount


def test_threads_that_hammer_one_ledger_lose_nothing(
    ledger: Ledger, path: Path, reserve: Reserve
) -> None:
    def hammer(name: int) -> None:
        dice = random.Random(name)
        for number in range(25):
            needs = dice.sample(NEEDS, dice.randrange(3))
            call = f"{name}-{number}"
            made = reserve(ledger, call, needs, domain=f"d{dice.randrange(3)}")
            if made.decision.allowed:
                assert parse(needs) <= ledger.held(made.recorded.event.domain).capabilities
                ledger.append(
                    Event(kind=Kind.CALL_COMMITTED, domain=made.recorded.event.domain, call=call)
                )

    assert together(*(lambda n=n: hammer(n) for n in range(8))) == []
    verified = verify(path)
    assert verified.unsettled == 0
    decided = [r for r in ledger.events() if r.event.kind in (Kind.CALL_RESERVED, Kind.CALL_DENIED)]
    assert len(decided) == 8 * 25


PROCESS = """
import random, sys
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.store import Ledger
from trilemma.policy.capability import parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act
from trilemma.policy.rule import violation

def decide(request):
    broken = violation(request.held, request.taking, request.grants)
    return Decision(Verdict.DENY if broken else Verdict.ALLOW, (), "x", request.taking)

name, dice = sys.argv[2], random.Random(sys.argv[2])
with Ledger.open(sys.argv[1]) as ledger:
    for number in range(40):
        domain = f"d{dice.randrange(20)}"
        needs = parse([dice.choice(["files", "internet", "code"])])
        ledger.reserve(
            domain,
            lambda held: AccessRequest(Act.TOOL, "me", needs, held.capabilities, None),
            decide,
            lambda request, decision, new: Event(
                kind=Kind.CALL_RESERVED if decision.allowed else Kind.CALL_DENIED,
                domain=domain, call=f"{name}-{number}", takes=new, body={"needs": sorted(needs)}),
        )
"""


def test_processes_that_hammer_one_ledger_lose_nothing(path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(path), name]) for name in "abcd"
    ]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    assert verify(path).events == 1 + 4 * 40
    with Ledger.open(path) as ledger:
        held = {f"d{n}": ledger.held(f"d{n}").capabilities for n in range(20)}
        for recorded in ledger.events(kind=Kind.CALL_RESERVED):
            assert parse(recorded.event.body["needs"]) <= held[recorded.event.domain]
        denied = list(ledger.events(kind=Kind.CALL_DENIED))
    assert denied
    assert {len(h) for h in held.values()} <= {0, 1, 2}
    for recorded in denied:
        needs = parse(recorded.event.body["needs"])
        assert len(needs | held[recorded.event.domain]) == len(Capability)


def test_a_decision_that_always_loses_the_race_is_made_under_the_lock(
    ledger: Ledger, reserve: Reserve
) -> None:
    rounds: list[tuple[Capability, ...]] = []

    def interfere(request: AccessRequest) -> Decision:
        rounds.append(ordered(request.held))
        if len(rounds) <= 3:
            other = Event(kind=Kind.EGRESS_ALLOWED, domain="d", account="bytes", charge=1)
            ledger.append(other)
        return Decision(Verdict.ALLOW, (), "x", request.taking)

    assert reserve(ledger, "c", ["files"], decide=interfere).decision.allowed
    assert len(rounds) == 4
    assert ledger.charged("d", "bytes") == 3
