"""Where a session stands in its tree, and the event that the ledger keeps of its beginning."""

from dataclasses import dataclass
from typing import Any

from ...policy.capability import CapabilitySet
from ..ledger.events import Event, Kind
from ..narrowing import names


@dataclass(frozen=True, slots=True)
class Lineage:
    """A session's place. A root has no parent, and is its own tree."""

    tree: str
    """The root's session."""
    parent: str | None = None
    mode: str = "root"
    """``root``, ``attenuated`` or ``mediated``."""
    depth: int = 0

    def child(self, parent: str, mode: str) -> "Lineage":
        """The place of a sub-agent of the session that stands here."""
        return Lineage(self.tree, parent, mode, self.depth + 1)

    @property
    def body(self) -> dict[str, Any]:
        """As it stands in ``session.opened``."""
        return {"parent": self.parent, "mode": self.mode, "depth": self.depth, "tree": self.tree}


def session_opened(
    lineage: Lineage,
    *,
    agent: str,
    model: str,
    grants: CapabilitySet | None,
    instance: str,
    policy: str,
    run: str | None = None,
) -> Event:
    """A session has begun, of an agent and in a gateway of these names.

    ``policy`` is the digest of the one that decides; ``run`` what outlives the session.
    """
    body = {
        "instance": instance,
        "agent": agent,
        "model": model,
        "grants": names(grants),
        "policy": policy,
        "run": run,
        **lineage.body,
    }
    return Event(kind=Kind.SESSION_OPENED, what=f"agent {agent}", body=body)
