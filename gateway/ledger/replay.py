"""The state after each event, rebuilt in memory from the events alone."""

from collections.abc import Sequence

from ...policy.capability import to_bits
from .events import RESERVES, SETTLES, Kind, Recorded
from .fold import Held, Taken, WorkspaceState, charge, join, take, touch
from .rows import JoinRow, Touch

_LIFECYCLE = (Kind.SESSION_OPENED, Kind.SESSION_CLOSED)


class Replay:
    """Facts for the rules, without a database. The folds are the ones that the ledger uses."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._workspaces: dict[str, WorkspaceState] = {}
        self._spent: dict[str, int] = {}
        self._calls: dict[str, frozenset[Kind]] = {}
        self._sessions: dict[str, frozenset[Kind]] = {}

    def held(self, domain: str) -> Held:
        """What the domain holds."""
        return self._held.get(domain, Held())

    def workspace(self, name: str) -> WorkspaceState | None:
        """The workspace's label and users."""
        return self._workspaces.get(name)

    def spent(self, account: str) -> int:
        """What was ever charged to an account that outlasts domains."""
        return self._spent.get(account, 0)

    def stages(self, call: str) -> frozenset[Kind]:
        """Which reservation and outcome of the call there are."""
        return self._calls.get(call, frozenset())

    def session_stages(self, session: str) -> frozenset[Kind]:
        """Which of session.opened and session.closed there are."""
        return self._sessions.get(session, frozenset())

    def apply(self, recorded: Recorded, joins: Sequence[JoinRow]) -> None:
        """Go on to the next event."""
        event = recorded.event
        held = self.held(event.domain)
        if event.takes:
            what = event.what or str(event.kind)
            held = take(held, Taken(recorded.seq, recorded.at, what, to_bits(event.takes)))
        if event.charge:
            held = charge(held, {event.account: event.charge})
        if event.kind is Kind.CROSSING_PASSED:
            self._spent[event.account] = self.spent(event.account) + event.charge
        if touched := [row for row in joins if row.touch != Touch.JOIN]:
            held = Held(held.capabilities, held.cause, held.charged, touch(held.opened, touched))
        if event.domain:
            self._held[event.domain] = held
        for row in joins:
            state = join(self._workspaces.get(row.workspace), [row])
            if state is not None:
                self._workspaces[row.workspace] = state
        if event.kind in RESERVES or event.kind in SETTLES:
            self._calls[event.call] = self.stages(event.call) | {event.kind}
        if event.kind in _LIFECYCLE:
            self._sessions[event.session] = self.session_stages(event.session) | {event.kind}

    @property
    def domains(self) -> int:
        """How many domains there are."""
        return len(self._held)

    @property
    def unsettled(self) -> int:
        """How many calls are reserved and have no outcome yet."""
        return sum(1 for stages in self._calls.values() if not stages & SETTLES.keys())
