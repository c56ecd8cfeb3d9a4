"""The ledger: append-only, hash-chained, safe between threads and between processes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from trilemma.errors import LedgerError

from ...policy.capability import NONE, CapabilitySet, show
from ...policy.decision import Decision
from ...policy.request import AccessRequest
from ...policy.rule import violation
from .anchor import Anchor, AnchorMark
from .connection import Durability
from .events import Event, Head, Recorded
from .fold import Held, WorkspaceState
from .handle import Handle
from .rules import LabelMoved
from .view import View
from .writing import check_tail, first_event, is_lazy, write

_OPTIMISTIC_ATTEMPTS = 3

Build = Callable[[Held], AccessRequest]
Decide = Callable[[AccessRequest], Decision]
Write = Callable[[AccessRequest, Decision, CapabilitySet], Event]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A decided request, and the event that records it."""

    request: AccessRequest
    decision: Decision
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class _Proposal:
    """What would be recorded if the domain still held what it held."""

    request: AccessRequest
    decision: Decision
    event: Event


class Ledger:
    """The record of everything that happened, and the only place where state is decided.

    Durability says what a **power cut** can lose. Killing the gateway loses nothing that was
    recorded, at either setting.

    ``full``
        Nothing. Every event is on disk (fsync) before the act that it records begins.
    ``normal``
        The last events about calls, model calls, egress and sandboxes, back to the last
        event of another kind. What changes a label, opens or closes a session, a workspace
        or a layer, and every approval waits for the disk all the same, so no label is shed.
        A domain that is used again after the cut may have lost what its last calls took.
    """

    def __init__(self, handle: Handle, durability: Durability, anchor: Anchor | None) -> None:
        self._handle = handle
        self._durability = durability
        self._anchor = anchor
        self.ledger_id = ""

    @classmethod
    def open(
        cls, path: Path, *, durability: Durability = "full", anchor: Path | None = None
    ) -> Self:
        """Open the ledger, and make it where there is none.

        Args:
            path: its file; ``-wal``, ``-shm`` and ``.lock`` files lie beside it.
            durability: what a power cut may lose, see the class.
            anchor: a file elsewhere that remembers the head, so that a rollback is noticed.

        Raises:
            LedgerError: it cannot be read or written.
            LedgerTampered: it is not a ledger, or not the one that the anchor remembers.

        """
        path = Path(path).absolute()
        keeper = Anchor(anchor) if anchor else None
        mark = keeper.read() if keeper else None
        ledger = cls(Handle(path, partial(_first, mark)), durability, keeper)
        try:
            ledger._begin(mark)
        except BaseException:
            ledger._handle.close()
            raise
        return ledger

    def append(self, event: Event) -> Recorded:
        """Record one event.

        Raises:
            LedgerError: it would break a rule, or cannot be written.
            WorkspaceError: it opens a workspace that another domain has open.

        """
        return self.append_many([event])[0]

    def append_many(self, events: Sequence[Event]) -> list[Recorded]:
        """Record all events or none."""
        lazy = all(is_lazy(event) for event in events)
        return self._transact(lambda view: events, lazy=lazy)

    def transact(self, build: Callable[[View], Sequence[Event]]) -> list[Recorded]:
        """Record what ``build`` makes of the newest state; nobody else writes meanwhile."""
        return self._transact(build, lazy=False)

    def reserve(self, domain: str, build: Build, decide: Decide, event: Write) -> Reservation:
        """Decide a request and record the outcome, as if nothing else happened meanwhile.

        The decision is made outside the lock. If by the time of writing the domain holds
        something else, it is made again; after a few such races, under the lock. The rule
        itself is applied once more inside the transaction, whatever was decided.

        Args:
            domain: whose state the decision is about.
            build: makes the request from what the domain holds.
            decide: decides it. A pure function; it may be called more than once.
            event: makes the event to record, given request, decision, and what the domain
                takes that it did not hold (nothing unless the decision is to allow).

        Raises:
            LedgerError: the event would break the rule, or cannot be written.
            WorkspaceError: it opens a workspace that another domain has open.

        """
        for _ in range(_OPTIMISTIC_ATTEMPTS):
            # Only a guess is needed here: the transaction compares it with what is true, and
            # that is what the next attempt starts from.
            held = self._handle.recent(domain) or self.held(domain)
            proposed = _propose(held, build, decide, event)
            try:
                with self._transaction(lazy=is_lazy(proposed.event, held)) as view:
                    if view.held(domain) == held:
                        return _settle(view, domain, held, proposed)
            except LabelMoved:
                continue
        with self._transaction(lazy=False) as view:
            held = view.held(domain)
            return _settle(view, domain, held, _propose(held, build, decide, event))

    def held(self, domain: str) -> Held:
        """What the domain holds, has used up and has open."""
        with self._handle.reading() as view:
            return view.held(domain)

    def charged(self, domain: str, account: str) -> int:
        """What the domain has used up of an account."""
        return self.held(domain).charged.get(account, 0)

    def spent(self, account: str) -> int:
        """What was ever charged to an account that outlasts domains, by whichever domain."""
        with self._handle.reading() as view:
            return view.spent(account)

    def spent_by_account(self) -> dict[str, int]:
        """Every such account that anything was charged to."""
        with self._handle.reading() as view:
            return view.spent_by_account()

    def workspace(self, name: str) -> WorkspaceState | None:
        """The label of a workspace or layer, and who has it open; None where not known."""
        with self._handle.reading() as view:
            return view.workspace(name)

    def touching(self, name: str) -> list[Recorded]:
        """Every event that touches a workspace or layer, oldest first."""
        with self._handle.reading() as view:
            found = [view.event(seq) for seq in view.touching(name)]
        return [event for event in found if event is not None]

    def label(self, workspace: str) -> CapabilitySet | None:
        """The label of a workspace or layer; None where this ledger does not know it."""
        state = self.workspace(workspace)
        return None if state is None else state.label

    def event(self, seq: int) -> Recorded | None:
        """The event at a position."""
        with self._handle.reading() as view:
            return view.event(seq)

    def find_call(self, call: str) -> list[Recorded]:
        """Every event of one call, oldest first: its reservation, its egress, its outcome."""
        with self._handle.reading() as view:
            return view.of_call(call)

    def newest_of_call(self, call: str) -> Recorded | None:
        """The newest event of a call, or of a run; None where there is none."""
        with self._handle.reading() as view:
            return view.newest_of_call(call)

    def session(self, session: str) -> Recorded | None:
        """The event that opened a session; None where it is not known."""
        with self._handle.reading() as view:
            return view.session(session)

    def calls(self, session: str) -> list[Recorded]:
        """The events of all tool and model calls of a session, oldest first."""
        return [e for e in self.events(session=session) if e.event.call]

    def open_sessions(self) -> list[Recorded]:
        """The ``session.opened`` events of all sessions that are not closed."""
        with self._handle.reading() as view:
            return view.open_sessions()

    def events(
        self,
        *,
        after: int = 0,
        kind: str = "",
        domain: str = "",
        session: str = "",
        workspace: str = "",
    ) -> Iterator[Recorded]:
        """All events that match every filter given, oldest first, up to the newest."""
        filters = {"kind": kind, "domain": domain, "session": session, "workspace": workspace}
        while True:
            with self._handle.reading() as view:
                page = view.page(after, filters)
            if not page:
                return
            yield from page
            after = page[-1].seq

    def head(self) -> Head:
        """The position of the newest event.

        To be kept outside the ledger at durability ``normal``, take the head of a recorded
        event that is not lazy: only such a one is sure to be there after a power cut.
        """
        with self._handle.reading() as view:
            return view.head

    def knows(self, seq: int, hash: str) -> bool:
        """True where the event at that position has that hash: the same history up to there."""
        with self._handle.reading() as view:
            return view.hash_at(seq) == hash

    def make_room(self) -> None:
        """For one that will write much: make each commit at ``full`` wait less for the disk."""
        if self._durability == "full":
            self._handle.make_room()

    def close(self) -> None:
        """Put everything on disk and let go of the file."""
        if self._anchor and self._durability == "normal" and self._handle.usable:
            self._anchor.write(self.ledger_id, self._handle.checkpoint())
        self._handle.close()
        if self._anchor:
            self._anchor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, mark: AnchorMark | None) -> None:
        with self._transaction(lazy=False) as view:
            self.ledger_id = view.ledger_id()
            check_tail(view)
            if mark:
                mark.check(self.ledger_id, view.hash_at)

    def _transaction(self, *, lazy: bool) -> AbstractContextManager[View]:
        durability: Durability = self._durability if lazy else "full"
        return self._handle.transaction(durability, self._durable if durability == "full" else None)

    def _transact(self, build: Callable[[View], Sequence[Event]], *, lazy: bool) -> list[Recorded]:
        with self._transaction(lazy=lazy) as view:
            return [write(view, event) for event in build(view)]

    def _durable(self, head: Head) -> None:
        if self._anchor:
            self._anchor.write(self.ledger_id, head)


def _first(mark: AnchorMark | None, view: View) -> None:
    """Begin a ledger, unless it is remembered with events."""
    if mark:
        raise mark.missing()
    write(view, first_event())


def _propose(held: Held, build: Build, decide: Decide, event: Write) -> _Proposal:
    request = build(held)
    decision = decide(request)
    taking = taken_by(request, decision)
    return _Proposal(request, decision, event(request, decision, taking - held.capabilities))


def _settle(view: View, domain: str, held: Held, proposal: _Proposal) -> Reservation:
    request, decision, event = proposal.request, proposal.decision, proposal.event
    taking = taken_by(request, decision)
    broken = violation(held.capabilities, taking, request.grants) if taking else None
    if broken:
        raise LedgerError(
            f"{broken}: a decision would let domain {domain!r}, which holds "
            f"{show(held.capabilities)}, take {show(taking)}"
        )
    if event.domain != domain or event.takes != taking - held.capabilities:
        raise LedgerError(f"{event.kind} does not record what was decided for {domain!r}")
    return Reservation(request, decision, write(view, event))


def taken_by(request: AccessRequest, decision: Decision) -> CapabilitySet:
    """What the domain has after the act that it had not, or had already; nothing if refused."""
    return request.taking | decision.taking if decision.allowed else NONE
