"""What a root session holds beside its sandboxes: its part of the domain, and its workspace."""

from dataclasses import dataclass
from typing import Any, Protocol

from ..policy.capability import Capability, CapabilitySet
from ..policy.decide import DecisionPoint
from ..sandbox.base import CallResult
from ..sandbox.spec import Mount
from .dispatch import Dispatch
from .tools import ToolDefinition
from .workspaces.opened import OpenWorkspace
from .workspaces.registry import Workspaces
from .workspaces.shared import SessionWorkspace


class Domains(Protocol):
    """What sessions of one domain share: sandboxes without a folder, and the way out."""

    def woke(self, domain: str) -> None:
        """One more session uses it. Waits where it is just being given back."""
        ...

    def rested(self, domain: str, *, give_back: bool) -> None:
        """One less; where it was the last, what they share is given back if that is asked for."""
        ...


@dataclass(frozen=True)
class RootHoldings:
    """See :class:`~trilemma.gateway.idling.Holdings`."""

    domain: str
    workspace: SessionWorkspace | None
    domains: Domains
    workspaces: Workspaces
    point: DecisionPoint

    def begin(self) -> None:
        """The workspace is open by now."""
        self.domains.woke(self.domain)

    def give_back(self) -> None:
        """Sandboxes are gone by now."""
        try:
            self.domains.rested(self.domain, give_back=True)
        finally:
            # What the domain's sessions share shows no folder. A snapshot nobody waits for.
            if isinstance(self.workspace, OpenWorkspace):
                self.workspace.close()

    def take_again(self) -> None:
        """The workspace first: that may be refused."""
        if isinstance(self.workspace, OpenWorkspace):
            self.workspaces.reopen(self.workspace, self.point.decide)
        self.domains.woke(self.domain)

    def leave(self) -> None:
        """What ends with the domain's last session is given back by the gateway."""
        self.domains.rested(self.domain, give_back=False)


@dataclass(frozen=True)
class Seat:
    """The sandboxes of one session, and what they are shown. See :mod:`.idling`."""

    dispatch: Dispatch
    workspace: SessionWorkspace | None
    grants: CapabilitySet | None

    def run(
        self, tool: ToolDefinition, call: str, arguments: dict[str, Any], given: CapabilitySet
    ) -> CallResult:
        """Run one call."""
        return self.dispatch.run(tool, call, arguments, given)

    def rest(self) -> None:
        """Destroy them."""
        self.dispatch.rest()

    def wake(self) -> None:
        """Show those to come the workspace where it is now."""
        self.dispatch.wake(*mounts(self.workspace, self.grants))


def mounts(
    workspace: SessionWorkspace | None, grants: CapabilitySet | None
) -> tuple[Mount | None, Mount | None]:
    """The views that a session with these grants is shown: without and with code."""
    if workspace is None:
        return None, None
    may_run = grants is None or Capability.CODE in grants
    # In this order: what is carried has its flags from the first.
    executable = workspace.view(exec=True).mount if may_run else None
    return workspace.view(exec=False).mount, executable
