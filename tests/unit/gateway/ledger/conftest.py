from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from trilemma.gateway.ledger.events import Event, Kind
from trilemma.gateway.ledger.fold import Held
from trilemma.gateway.ledger.store import Ledger, Reservation
from trilemma.policy.capability import CapabilitySet, parse
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.request import AccessRequest, Act
from trilemma.policy.rule import violation

Reserve = Callable[..., Reservation]


def decide_by_rule(request: AccessRequest) -> Decision:
    broken = violation(request.held, request.taking, request.grants)
    verdict = Verdict.DENY if broken else Verdict.ALLOW
    return Decision(verdict, (str(broken),) if broken else (), "sha256:0", request.taking)


def reserve_call(
    ledger: Ledger,
    call: str,
    needs: Iterable[str] = (),
    *,
    domain: str = "d",
    session: str = "s",
    decide: Callable[[AccessRequest], Decision] = decide_by_rule,
) -> Reservation:
    def build(held: Held) -> AccessRequest:
        return AccessRequest(
            Act.TOOL, "me", parse(list(needs)), held.capabilities, None, cause=held.cause
        )

    def write(request: AccessRequest, decision: Decision, new: CapabilitySet) -> Event:
        kind = Kind.CALL_RESERVED if decision.allowed else Kind.CALL_DENIED
        return Event(
            kind=kind,
            principal="me",
            domain=domain,
            session=session,
            call=call,
            what="a tool",
            takes=new,
            body={"reasons": list(decision.reasons)},
        )

    return ledger.reserve(domain, build, decide, write)


@pytest.fixture
def reserve() -> Reserve:
    return reserve_call


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path) as opened:
        yield opened
