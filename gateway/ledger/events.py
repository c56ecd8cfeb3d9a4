"""What the ledger records: events, their closed list of kinds, and their place in the chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...policy.capability import NONE, CapabilitySet


class Kind(StrEnum):
    """Every kind of event. The names are part of the ledger's format and never change."""

    LEDGER_OPENED = "ledger.opened"
    """The first event of every ledger, and only that; its body names the ledger."""
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    DOMAIN_OPENED = "domain.opened"

    CALL_RESERVED = "call.reserved"
    CALL_COMMITTED = "call.committed"
    CALL_DENIED = "call.denied"
    CALL_UNKNOWN = "call.unknown"
    """A reserved call whose outcome nobody saw. It is never repeated by itself."""

    MODEL_RESERVED = "model.reserved"
    MODEL_COMMITTED = "model.committed"
    MODEL_DENIED = "model.denied"
    MODEL_UNKNOWN = "model.unknown"

    WORKSPACE_CREATED = "workspace.created"
    WORKSPACE_OPENED = "workspace.opened"
    WORKSPACE_CLOSED = "workspace.closed"
    WORKSPACE_DENIED = "workspace.denied"
    WORKSPACE_SNAPSHOT = "workspace.snapshot"
    """A copy of a workspace, or of a layer over it, becomes known, with at least their labels."""
    WORKSPACE_LABELLED = "workspace.labelled"
    """A person adds to the label of a workspace or a layer."""
    WORKSPACE_DECLASSIFIED = "workspace.declassified"
    """A person takes something out of a label, for files that are named by their hashes."""
    LAYER_CREATED = "layer.created"
    LAYER_OPENED = "layer.opened"
    LAYER_CLOSED = "layer.closed"
    LAYER_APPLIED = "layer.applied"
    LAYER_DISCARDED = "layer.discarded"

    EGRESS_ALLOWED = "egress.allowed"
    EGRESS_DENIED = "egress.denied"
    EGRESS_CLOSED = "egress.closed"

    CROSSING_PASSED = "crossing.passed"
    """A value crossed between two domains; once for each account that it was charged to."""
    CROSSING_REFUSED = "crossing.refused"

    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REFUSED = "approval.refused"

    SANDBOX_CREATED = "sandbox.created"
    SANDBOX_REFUSED = "sandbox.refused"
    SANDBOX_DESTROYED = "sandbox.destroyed"

    RUN_CHECKPOINTED = "run.checkpointed"
    """A run can go on from here; its call is the run, its body holds the checkpoint's digest."""


SETTLES: Mapping[Kind, Kind] = {
    Kind.CALL_COMMITTED: Kind.CALL_RESERVED,
    Kind.CALL_UNKNOWN: Kind.CALL_RESERVED,
    Kind.MODEL_COMMITTED: Kind.MODEL_RESERVED,
    Kind.MODEL_UNKNOWN: Kind.MODEL_RESERVED,
}
"""Which reservation an outcome settles."""

RESERVES = frozenset(SETTLES.values())


class Use(StrEnum):
    """How a session has a workspace or a layer open."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact to record. Empty strings mean: does not apply.

    ``joins``, ``opens``, ``closes`` and ``drops`` name workspaces and layers alike, by their
    identity.
    The first event that joins into an identity makes it known to the ledger, even where it
    joins the empty set (a folder of its owner's own work).
    """

    kind: Kind
    principal: str = ""
    domain: str = ""
    session: str = ""
    call: str = ""
    workspace: str = ""
    """The workspace the event is about; it says nothing about labels."""
    what: str = ""
    """The act in a few words for people: ``read_file``, ``workspace mail``."""
    takes: CapabilitySet = NONE
    """What the domain did not hold before and holds from here on."""
    joins: Mapping[str, CapabilitySet] = field(default_factory=dict)
    """What is added to the label of each workspace."""
    opens: Mapping[str, Use] = field(default_factory=dict)
    """What the session has open from here on."""
    closes: frozenset[str] = frozenset()
    """What the session has no longer open."""
    drops: Mapping[str, CapabilitySet] = field(default_factory=dict)
    """What is taken out of a label: only by a person's declassification."""
    account: str = ""
    charge: int = 0
    """What is used up of the domain's ``account``, such as bytes that leave. Accounts in
    :mod:`~trilemma.gateway.ledger.accounts` belong to no domain and are never filled again."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Everything else, as JSON."""


@dataclass(frozen=True, slots=True)
class Head:
    """A position in the chain. Its hash vouches for every event up to it."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event in its place: what stands in the ledger."""

    seq: int
    at: str
    """ISO 8601, UTC, by the machine's clock. Order is by ``seq`` alone."""
    hash: str
    event: Event

    @property
    def head(self) -> Head:
        """The event's position, to be kept outside the ledger."""
        return Head(self.seq, self.hash)
