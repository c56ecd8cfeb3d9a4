"""A decision: a value with its reasons, never a bool."""

from dataclasses import dataclass
from enum import StrEnum

from .capability import NONE, CapabilitySet
from .request import Cause


class Verdict(StrEnum):
    """What the gateway does with a request."""

    ALLOW = "allow"
    DENY = "deny"
    NEEDS_APPROVAL = "needs_approval"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one :class:`~trilemma.policy.request.AccessRequest`."""

    verdict: Verdict
    reasons: tuple[str, ...]
    """Reason codes, sorted; empty for a plain allow. The codes are listed in ``reasons.py``."""
    digest: str
    """Digest of the policy that decided: ``sha256:...``."""
    taking: CapabilitySet = NONE
    """What the domain takes if this is allowed."""
    cause: tuple[Cause, ...] = ()
    """The events behind what the domain holds."""

    @property
    def allowed(self) -> bool:
        """True for ALLOW only: a decision that needs approval is not yet allowed."""
        return self.verdict is Verdict.ALLOW
