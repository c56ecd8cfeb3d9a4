"""The one path: every act is decided and recorded here before anything happens."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..policy.capability import CapabilitySet
from ..policy.decide import DecisionPoint
from ..policy.decision import Decision, Verdict
from ..policy.explain import explain
from ..policy.request import AccessRequest, Act
from .ledger.events import Event, Kind
from .ledger.fold import Held
from .ledger.store import Ledger, Reservation


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: one session of one principal, in one domain."""

    principal: str
    domain: str
    session: str
    grants: CapabilitySet | None
    """What it may use itself; None where the first two that are taken latch."""
    lender: "Actor | None" = None
    """Whose domain it shares, where it is a sub-agent: its grants are a share of what that has."""

    @property
    def first(self) -> "Actor":
        """The first of its line: whoever has the domain from nobody."""
        return self if self.lender is None else self.lender.first

    @property
    def pair(self) -> CapabilitySet | None:
        """What its domain may hold: the grants of the first in its line."""
        return self.first.grants

    @property
    def share(self) -> CapabilitySet | None:
        """What a sub-agent's own acts must stay within, whatever its domain holds."""
        return None if self.lender is None else self.grants


@dataclass(frozen=True, slots=True)
class Entry:
    """How an act stands in the ledger, whichever way it is decided."""

    allowed: Kind
    denied: Kind
    what: str
    call: str = ""
    account: str = ""
    charge: int = 0
    joins: Mapping[str, CapabilitySet] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


Build = Callable[[Held], AccessRequest]


class Enforcement:
    """Reserves acts and records what became of them. Safe between threads and processes."""

    def __init__(self, ledger: Ledger, point: DecisionPoint) -> None:
        self.ledger = ledger
        self.point = point

    def reserve(self, actor: Actor, entry: Entry, build: Build) -> Reservation:
        """Decide an act and take what it takes, atomically, before it happens.

        Raises:
            LedgerError: it cannot be recorded, so it must not happen.
        """
        return self.ledger.reserve(
            actor.domain,
            build,
            self.point.decide,
            lambda request, decision, new: _event(actor, entry, request, decision, new),
        )

    def settle(
        self,
        actor: Actor,
        kind: Kind,
        call: str,
        what: str,
        body: dict[str, Any],
        also: Sequence[Event] = (),
    ) -> None:
        """Record how a reserved act ended, and what else is so by then: all or none."""
        self.record(actor, Event(kind=kind, call=call, what=what, body=body), *also)

    def record(self, actor: Actor, *events: Event) -> None:
        """Record facts about what ``actor`` did, all or none."""
        self.ledger.append_many([_by(actor, event) for event in events])


def request(
    actor: Actor, held: Held, act: Act, needs: CapabilitySet, **parts: Any
) -> AccessRequest:
    """The typed facts of an act by ``actor`` in the state that it meets."""
    return AccessRequest(
        act=act,
        principal=actor.principal,
        needs=needs,
        held=held.capabilities,
        grants=actor.pair,
        share=actor.share,
        cause=held.cause,
        **parts,
    )


def new_id(kind: str) -> str:
    """A name that nothing else in any ledger has: ``call_3f9c...``."""
    return f"{kind}_{secrets.token_hex(8)}"


def _by(actor: Actor, event: Event) -> Event:
    return replace(event, principal=actor.principal, domain=actor.domain, session=actor.session)


def _event(
    actor: Actor, entry: Entry, request: AccessRequest, decision: Decision, new: CapabilitySet
) -> Event:
    allowed = decision.allowed
    body = dict(entry.body)
    body["decision"] = {
        "verdict": str(decision.verdict),
        "reasons": list(decision.reasons),
        "policy": decision.digest,
        "facts": request.facts(),
    }
    if not allowed:
        body["explanation"] = explain(request, decision)
    return Event(
        kind=_kind(entry, decision),
        principal=actor.principal,
        domain=actor.domain,
        session=actor.session,
        call=entry.call,
        what=entry.what,
        takes=new,
        joins=entry.joins if allowed else {},
        account=entry.account if allowed and entry.charge else "",
        charge=entry.charge if allowed else 0,
        body=body,
    )


def _kind(entry: Entry, decision: Decision) -> Kind:
    if decision.verdict is Verdict.NEEDS_APPROVAL:
        return Kind.APPROVAL_ASKED
    return entry.allowed if decision.allowed else entry.denied
