"""The rule: at most two of three. Code of its own, applied after any policy engine."""

from enum import StrEnum

from .capability import CapabilitySet

LIMIT = 2


class Violation(StrEnum):
    """Why taking more capabilities would break the rule."""

    THIRD_CAPABILITY = "third_capability"
    OUTSIDE_GRANTS = "outside_grants"


def violation(
    held: CapabilitySet, taking: CapabilitySet, grants: CapabilitySet | None
) -> Violation | None:
    """What would be broken if a domain that holds ``held`` took ``taking`` as well.

    ``grants`` is the pair fixed at the start, or None where the first two taken latch.
    """
    after = held | taking
    if len(after) > LIMIT:
        return Violation.THIRD_CAPABILITY
    if grants is not None and not after <= grants:
        return Violation.OUTSIDE_GRANTS
    return None
