"""What a sub-agent of the same domain may be given: never more than its parent has. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..policy.capability import CapabilitySet, ordered, show

if TYPE_CHECKING:
    from .teamspec import AttenuatedSpec

Access = Literal["none", "read", "write"]
"""What a session may do with the workspace that its domain has open."""

_RANK: dict[Access, int] = {"none": 0, "read": 1, "write": 2}


@dataclass(frozen=True, slots=True)
class Share:
    """What one session has to hand on."""

    grants: CapabilitySet | None
    """None where the first two that are taken latch: the domain's latch holds for all of it."""
    tools: frozenset[str] | None
    """Names; None where they are not known yet, since nobody has read a tool file."""
    workspace: Access

    def given(self, child: "AttenuatedSpec") -> "Share":
        """What the sub-agent then has to hand on."""
        grants = self.grants if child.granted is None else child.granted
        return Share(grants, frozenset(child.tools), child.workspace)


@dataclass(frozen=True, slots=True)
class Excess:
    """One thing in which a sub-agent would have more than its parent."""

    field: str
    text: str


def excesses(child: "AttenuatedSpec", has: Share) -> Iterator[Excess]:
    """Everything in which ``child`` is wider than its parent. Nothing, where it may be called."""
    if child.granted is not None and has.grants is not None and not child.granted <= has.grants:
        more = show(child.granted - has.grants)
        yield Excess("grants", f"{more} is not among its parent's grants, {show(has.grants)}")
    for name in sorted(set(child.tools) - has.tools) if has.tools is not None else ():
        known = ", ".join(sorted(has.tools or ())) or "none"
        yield Excess("tools", f"{name!r} is not one of its parent's tools, which are: {known}")
    if _RANK[child.workspace] > _RANK[has.workspace]:
        yield Excess("workspace", f"{child.workspace!r}, and its parent has {has.workspace!r}")


def names(grants: CapabilitySet | None) -> list[str] | None:
    """Grants as they stand in the ledger."""
    return None if grants is None else [str(capability) for capability in ordered(grants)]
