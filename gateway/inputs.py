"""Labels that come with a task: the domain must absorb what earlier results may carry."""

from trilemma.errors import Denied

from ..policy.capability import NONE, CapabilitySet
from ..policy.explain import explain
from ..policy.request import Act, ToolFacts
from .enforcement import Actor, Enforcement, Entry, new_id, request
from .ledger.events import Kind

_FACTS = ToolFacts("task", "sha256:" + "0" * 64, declared=True)


def take_labels(enforcement: Enforcement, actor: Actor, brings: CapabilitySet) -> None:
    """Join the labels of a task's results into the domain.

    Raises:
        Denied: together with what the domain holds they would be three.
    """
    if not brings:
        return
    call = new_id("task")
    entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, "a task made from earlier results", call)
    reservation = enforcement.reserve(
        actor,
        entry,
        lambda held: request(actor, held, Act.TOOL, NONE, label=brings, tool=_FACTS),
    )
    decision = reservation.decision
    if not decision.allowed:
        raise Denied(explain(reservation.request, decision), reasons=decision.reasons, call=call)
    enforcement.settle(actor, Kind.CALL_COMMITTED, call, entry.what, {"ok": True})
