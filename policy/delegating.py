"""What a delegation may not do, and which flows of data it would make."""

from collections.abc import Iterator
from dataclasses import dataclass

from .capability import CapabilitySet
from .reasons import Reason
from .request import AccessRequest, DelegationFacts
from .rule import LIMIT, Violation, violation


@dataclass(frozen=True, slots=True)
class Flow:
    """Free text that would bring what one side reads to another side that cannot hold it."""

    carries: CapabilitySet
    """What the text may carry."""
    meets: CapabilitySet
    """What the side that reads it holds, or may hold."""
    down: bool
    """From the agent to its sub-agent; else the answer, the other way."""

    @property
    def third(self) -> bool:
        """All three would meet, so no grants help."""
        return len(self.carries | self.meets) > LIMIT


def delegation_breaks(request: AccessRequest) -> frozenset[str]:
    """Reason codes of everything that a delegation would break."""
    facts = request.delegation
    if facts is None:
        return frozenset({str(Reason.MALFORMED_FACTS)})
    broken = {str(code) for code in facts.over}
    if facts.wider:
        broken.add(str(Reason.DELEGATION_WIDER))
    for flow in flows(request):
        broken.add(str(Reason.DELEGATION_THIRD if flow.third else Violation.OUTSIDE_GRANTS))
    return frozenset(broken)


def flows(request: AccessRequest) -> Iterator[Flow]:
    """The flows of a delegation that its two sides cannot absorb."""
    facts = request.delegation
    if facts is None:
        return
    if violation(frozenset(), _meets(facts) | facts.down, facts.grants) is not None:
        yield Flow(facts.down, _meets(facts), down=True)
    if request.label and violation(request.held, request.label, request.grants) is not None:
        yield Flow(request.label, _holds(request), down=False)


def _meets(facts: DelegationFacts) -> CapabilitySet:
    return facts.grants or frozenset()


def _holds(request: AccessRequest) -> CapabilitySet:
    return request.held | (request.grants or frozenset())
