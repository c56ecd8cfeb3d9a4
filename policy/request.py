"""What is asked: one act of one session, as small typed facts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .capability import NONE, CapabilitySet, ordered

SCHEMA_VERSION = 1


class Act(StrEnum):
    """The kinds of act that the gateway decides."""

    TOOL = "tool"
    MODEL = "model"
    WORKSPACE = "workspace"
    EGRESS = "egress"
    DELEGATION = "delegation"


@dataclass(frozen=True, slots=True)
class Cause:
    """One recorded event that gave a domain a capability."""

    capability: str
    seq: int
    """Position of the event in the ledger."""
    what: str
    """The act in a few words, such as ``read_file`` or ``workspace mail``."""
    at: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class ToolFacts:
    """The tool that is called, by its pinned identity."""

    name: str
    identity: str
    declared: bool
    """False for a tool that declares no needs; it counts as needing all three."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model that is called."""

    provider: str
    inside: bool
    under_contract: bool


@dataclass(frozen=True, slots=True)
class WorkspaceFacts:
    """The workspace that is opened."""

    mode: str
    """``layer`` or ``direct``."""
    known: bool
    """False where this ledger does not know the folder's identity mark."""


@dataclass(frozen=True, slots=True)
class EgressFacts:
    """One request, or one tunnel, that wants to leave."""

    host: str
    """Canonical: lower case, IDNA, no trailing dot; an address in its shortest form."""
    port: int
    scheme: str
    """``http``, ``https`` or ``tunnel``."""
    method: str
    """``GET``, ``CONNECT`` ..."""
    structured: bool
    """True where the proxy reads the request; False for a tunnel."""
    listed: bool
    """The host is on the list that applies to this session."""
    bytes_out: int
    """Everything in the request that the agent can vary, in bytes; 0 for a tunnel."""
    budget_left: int
    """Bytes that may still leave this domain, before this request."""
    limited: bool = True
    """False where neither the operator nor the agent gave a list of hosts."""


@dataclass(frozen=True, slots=True)
class DelegationFacts:
    """The sub-agent that a task is handed to, and what would cross to it and back."""

    agent: str
    mode: str
    """``attenuated``: in the same domain, with a share of it; ``mediated``: in one of its own."""
    grants: CapabilitySet | None
    """The sub-agent's pair; None where the first two that it takes latch."""
    down: CapabilitySet = NONE
    """What the task carries into the sub-agent's own domain; what its answer carries back is the
    label of the request."""
    free: bool = False
    """Text that nothing bounds crosses, in either direction."""
    bits: int = 0
    """What the typed values that cross may tell, in bits, both ways."""
    bits_left: int = 0
    """Bits that may still cross, before this delegation."""
    depth: int = 1
    """How deep in its tree the sub-agent would stand; the root's own children stand at 1."""
    children: int = 0
    """Sub-agents that the parent has at work, before this one."""
    total: int = 0
    """Sub-agents that the tree has had, before this one."""
    wider: tuple[str, ...] = ()
    """In what the sub-agent would have more than its parent: ``grants``, ``tools`` ..."""
    over: tuple[str, ...] = ()
    """Reason codes of the tree's own limits that leave no room for it."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One act, with the state it meets. The decision is a pure function of this value."""

    act: Act
    principal: str
    needs: CapabilitySet
    """What the act itself uses."""
    held: CapabilitySet
    """What the domain holds before it."""
    grants: CapabilitySet | None
    """The pair fixed at the start; None where the first two latch."""
    label: CapabilitySet = NONE
    """What data that the act brings in carries: a workspace's label, a result's."""
    share: CapabilitySet | None = None
    """What a sub-agent in its parent's domain was given of the pair; None where it is nobody's."""
    tool: ToolFacts | None = None
    model: ModelFacts | None = None
    workspace: WorkspaceFacts | None = None
    egress: EgressFacts | None = None
    delegation: DelegationFacts | None = None
    tainted: bool = False
    """The session has read text that strangers wrote. Kept for destination endorsement."""
    endorsed: bool = False
    """A trusted source named this destination. Kept for destination endorsement."""
    approved: bool = False
    """A person approved this very act."""
    cause: tuple[Cause, ...] = ()
    """The events behind ``held``. Explains a decision, never changes it."""
    details: tuple[str, ...] = ()
    """What exactly is wrong, for people. Explains a decision, never changes it."""

    @property
    def taking(self) -> CapabilitySet:
        """All that the domain would take: what the act uses and what its data carries."""
        return self.needs | self.label

    def facts(self) -> dict[str, Any]:
        """The input of the policy engine: small, typed, canonical, never raw arguments."""
        return {
            "version": SCHEMA_VERSION,
            "act": str(self.act),
            "principal": self.principal,
            "needs": _names(self.needs),
            "label": _names(self.label),
            "held": _names(self.held),
            "grants": _value(self.grants),
            "share": _value(self.share),
            "tool": _fields(self.tool),
            "model": _fields(self.model),
            "workspace": _fields(self.workspace),
            "egress": _fields(self.egress),
            "delegation": _fields(self.delegation),
            "tainted": self.tainted,
            "endorsed": self.endorsed,
            "approved": self.approved,
        }


def _names(capabilities: CapabilitySet) -> list[str]:
    return [str(c) for c in ordered(capabilities)]


def _fields(part: Any) -> dict[str, Any] | None:
    if part is None:
        return None
    return {name: _value(getattr(part, name)) for name in part.__slots__}


def _value(value: Any) -> Any:
    if isinstance(value, frozenset):
        return _names(value)
    return list(value) if isinstance(value, tuple) else value
