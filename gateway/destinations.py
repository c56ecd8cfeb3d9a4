"""Which lists of hosts apply to a session: the agent's own, which the operator's only narrows."""

from dataclasses import dataclass

from ..policy.hostrule import HostRule, listed
from ..sandbox.egress.request import EgressRequest


@dataclass(frozen=True)
class Destinations:
    """Where a session may go."""

    agent: tuple[HostRule, ...] | None
    """None where the agent gives no list."""
    operator: tuple[HostRule, ...] | None
    """None where the operator keeps no list."""

    @property
    def limited(self) -> bool:
        """True where there is a list at all."""
        return self.agent is not None or self.operator is not None

    def listed(self, request: EgressRequest) -> bool:
        """Whether the request is on every list that exists."""
        return listed(
            (self.agent, self.operator),
            host=request.host,
            port=request.port,
            scheme=request.scheme,
            method=request.method,
        )
