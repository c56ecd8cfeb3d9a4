"""The rule: at most two of three. Code of its own, applied after any policy engine."""

from enum import StrEnum

from .capability import CapabilitySet

LIMIT = 2


class Violation(StrEnum):
    """Why taking more capabilities would break the rule."""

    THIRD_CAPABILITY = "third_capability"
    OUTSIDE_GRANTS = "outside_grants"


def violation(
    held: CapabilitySet,
    taking: CapabilitySet,
    grants: CapabilitySet | None,
    share: CapabilitySet | None = None,
) -> Violation | None:
    """What would be broken if a domain that holds ``held`` took ``taking`` as well.

    ``grants`` is the pair fixed at the start, or None where the first two taken latch. ``share`` is
    what a sub-agent was given of it: its own acts stay within, whatever its domain holds already.
    """
    after = held | taking
    if len(after) > LIMIT:
        return Violation.THIRD_CAPABILITY
    if grants is not None and not after <= grants:
        return Violation.OUTSIDE_GRANTS
    if share is not None and not taking <= share:
        return Violation.OUTSIDE_GRANTS
    return None
