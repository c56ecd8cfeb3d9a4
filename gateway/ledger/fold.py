"""State as a fold over events: what a domain holds, what a workspace's label is. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...policy.capability import NONE, CapabilitySet, from_bits, ordered
from ...policy.request import Cause
from .events import Use
from .rows import JoinRow, Touch


@dataclass(frozen=True, slots=True)
class Opened:
    """One session has one workspace, or one layer, open."""

    workspace: str
    domain: str
    session: str
    use: Use


@dataclass(frozen=True, slots=True)
class Held:
    """What one domain holds, has used up and has open. The capabilities only ever grow."""

    capabilities: CapabilitySet = NONE
    cause: tuple[Cause, ...] = ()
    """The event behind each capability, in the order they were taken."""
    charged: Mapping[str, int] = field(default_factory=dict)
    """What is used up, by account."""
    opened: frozenset[Opened] = frozenset()

    @property
    def writing(self) -> frozenset[str]:
        """The workspaces and layers that are open for writing."""
        return frozenset(o.workspace for o in self.opened if o.use is Use.WRITE)


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """The label of one workspace, and who has it open, in whatever domain."""

    label: CapabilitySet = NONE
    opened: frozenset[Opened] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """One event took capabilities: the columns of it that a fold reads."""

    seq: int
    at: str
    what: str
    bits: int


def take(held: Held, taken: Taken) -> Held:
    """The domain after the event."""
    capabilities = from_bits(taken.bits)
    cause = tuple(
        Cause(str(c), taken.seq, taken.what, taken.at)
        for c in ordered(capabilities - held.capabilities)
    )
    return replace(held, capabilities=held.capabilities | capabilities, cause=held.cause + cause)


def charge(held: Held, sums: Mapping[str, int]) -> Held:
    """The domain after the charges in ``sums``."""
    charged = dict(held.charged)
    for account, amount in sums.items():
        charged[account] = charged.get(account, 0) + amount
    return replace(held, charged=charged)


def touch(opened: frozenset[Opened], rows: Iterable[JoinRow]) -> frozenset[Opened]:
    """Who has what open after the rows. Opening for writing outlasts opening for reading."""
    state = {(o.workspace, o.session): o for o in opened}
    for row in rows:
        key = (row.workspace, row.session)
        if row.touch == Touch.CLOSE:
            state.pop(key, None)
        elif row.touch == Touch.WRITE:
            state[key] = Opened(row.workspace, row.domain, row.session, Use.WRITE)
        elif row.touch == Touch.READ:
            state.setdefault(key, Opened(row.workspace, row.domain, row.session, Use.READ))
    return frozenset(state.values())


def join(state: WorkspaceState | None, rows: Iterable[JoinRow]) -> WorkspaceState | None:
    """The workspace after the rows that touch it; None while no event ever did."""
    rows = list(rows)
    if not rows:
        return state
    before = state or WorkspaceState()
    label = before.label
    for row in rows:
        bits = from_bits(row.bits)
        label = label - bits if row.touch == Touch.DROP else label | bits
    return WorkspaceState(label, touch(before.opened, rows))
