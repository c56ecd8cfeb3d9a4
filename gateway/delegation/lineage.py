"""Where a session stands in its tree: what the ledger keeps of it."""

from dataclasses import dataclass
from typing import Any


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
