"""Both ends of a crossing, without the agents."""

from collections.abc import Callable

from trilemma.errors import Denied
from trilemma.gateway.crossings import Crossings, Ends
from trilemma.gateway.enforcement import Actor, Enforcement
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import decision_point
from trilemma.policy.operator import OperatorPolicy
from trilemma.subagents.crossing.compound import crossing_type

POINT = decision_point(OperatorPolicy())
BOOL = crossing_type("bool", "test")
ASK = 2
"""Bits of a bool that goes down: its own, and that it is sent at all."""
ANSWER = 3
"""Bits of a bool that comes up: two values and three failures."""


def crossing(ledger: Ledger, limit: int) -> Crossings:
    return Crossings(Enforcement(ledger, POINT), limit)


def ends(*workspaces: str, principal: str = "user:me", name: str = "1") -> Ends:
    actor = Actor(principal, f"dom_{name}", f"ses_{name}", None)
    return Ends(actor, f"ses_{name}_child", frozenset(workspaces))


def pass_all(send: Callable[[], object]) -> int:
    """Send until it is refused; how often it went through."""
    for times in range(1000):
        try:
            send()
        except Denied:
            return times
    raise AssertionError("never refused")
