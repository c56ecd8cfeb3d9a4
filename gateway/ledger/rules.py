"""What an event must satisfy, whoever writes it: asked before writing, and again by verify.

* A domain never holds three, and takes a capability only once.
* A label is never less than what really happened: opening for writing joins what the domain
  holds, and so does whatever the domain takes while it has something open for writing.
* Opening joins the label into the domain. A copy has at least the label of what was copied.
* Nothing leaves a label but by a person's declassification, which names the files.
* While one domain has a workspace open for writing, no other has it open at all.
* A call is reserved once, and settled at most once, after it was reserved.
* What crosses between domains is charged for ever, and never beyond the limit of that day.
* A closed session reserves and opens nothing more. Nothing is ever given back to an account.
"""

from dataclasses import replace
from typing import Protocol

from trilemma.errors import LedgerError, WorkspaceError

from ...policy.capability import NONE, CapabilitySet, show
from ...policy.rule import violation
from .accounts import is_lasting
from .declassified import check_declassified
from .events import RESERVES, SETTLES, Event, Kind, Use
from .fold import Held, WorkspaceState


class LabelMoved(LedgerError):
    """A label has more in it than the event that opens its workspace takes."""


class Facts(Protocol):
    """What the rules must know of the events before."""

    def held(self, domain: str) -> Held:
        """What the domain holds."""
        ...

    def workspace(self, name: str) -> WorkspaceState | None:
        """The workspace's label and users; None where no event ever joined into it."""
        ...

    def spent(self, account: str) -> int:
        """What was ever charged to an account that outlasts domains."""
        ...

    def stages(self, call: str) -> frozenset[Kind]:
        """The kinds of all events of the call."""
        ...

    def session_stages(self, session: str) -> frozenset[Kind]:
        """Which of session.opened and session.closed stand in the ledger."""
        ...


def complete(event: Event, facts: Facts) -> Event:
    """The event with the joins and closes that follow from it by rule."""
    if not (event.takes or event.opens or event.closes or event.kind is Kind.SESSION_CLOSED):
        return event
    held = facts.held(event.domain)
    after = held.capabilities | event.takes
    joins = {name: label for name, label in event.joins.items() if label or name not in event.opens}
    for name in _written(event, held):
        if not after <= _label(facts, name) | joins.get(name, NONE):
            joins[name] = joins.get(name, NONE) | after
    return replace(event, joins=joins, closes=_closes(event, held))


def check(event: Event, facts: Facts) -> None:
    """Refuse an event that would break a rule.

    Raises:
        LedgerError: which rule, and how.
        WorkspaceError: another domain has the workspace open.

    """
    if event.takes:
        _check_takes(event, facts.held(event.domain).capabilities)
    if event.takes or event.opens:
        _check_labels(event, facts)
    for name, use in event.opens.items():
        _check_exclusive(event, name, use, facts)
    if event.kind in RESERVES or event.kind in SETTLES:
        _check_call(event, facts)
    if event.kind is Kind.WORKSPACE_SNAPSHOT:
        _check_snapshot(event, facts)
    if event.drops or event.kind is Kind.WORKSPACE_DECLASSIFIED:
        check_declassified(event, facts.workspace)
    if event.session:
        _check_session(event, facts)
    if event.charge and (event.charge < 0 or not event.account or not event.domain):
        raise LedgerError(f"cannot charge {event.charge!r} to account {event.account!r}")
    if event.kind is Kind.CROSSING_PASSED:
        _check_crossing(event, facts)
    elif is_lasting(event.account):
        raise LedgerError(f"{event.kind} cannot charge to {event.account!r}: only crossings do")


def _check_takes(event: Event, held: CapabilitySet) -> None:
    if not event.domain:
        raise LedgerError(f"{event.kind} takes {show(event.takes)} but names no domain")
    broken = violation(held, event.takes, None)
    if broken:
        raise LedgerError(
            f"{broken}: domain {event.domain!r} holds {show(held)} and cannot take "
            f"{show(event.takes)}"
        )
    if held & event.takes:
        raise LedgerError(f"domain {event.domain!r} already holds {show(held & event.takes)}")


def _check_labels(event: Event, facts: Facts) -> None:
    held = facts.held(event.domain)
    after = held.capabilities | event.takes
    for name in event.opens:
        state = facts.workspace(name)
        if state is None:
            raise LedgerError(f"workspace {name!r} is not known to this ledger; create it first")
        if not state.label <= after:
            raise LabelMoved(
                f"opening {name!r} takes its label {show(state.label)}, and domain "
                f"{event.domain!r} would hold only {show(after)}"
            )
    for name in _written(event, held):
        if not after <= _label(facts, name) | event.joins.get(name, NONE):
            raise LedgerError(f"the label of {name!r} must join {show(after)}")


def _check_snapshot(event: Event, facts: Facts) -> None:
    of = event.body.get("of")
    if not isinstance(of, list) or not of or len(event.joins) != 1:
        raise LedgerError(f"{event.kind} must name what was copied, and one copy")
    ((copy, label),) = event.joins.items()
    if facts.workspace(copy) is not None:
        raise LedgerError(f"{event.kind}: {copy!r} is known already")
    for name in of:
        state = facts.workspace(name)
        if state is None or not state.label <= label:
            raise LedgerError(f"{event.kind}: the label of {copy!r} is less than that of {name!r}")


def _check_exclusive(event: Event, name: str, use: Use, facts: Facts) -> None:
    if not (event.domain and event.session) or name in event.closes:
        raise LedgerError(f"{event.kind} cannot open {name!r}: it needs a domain and a session")
    state = facts.workspace(name)
    for other in state.opened if state else ():
        if other.domain != event.domain and Use.WRITE in (use, other.use):
            raise WorkspaceError(
                f"workspace {name!r} is in use: session {other.session!r} has it open to "
                f"{other.use}; wait until that session ends, or stop it, or open a copy of this "
                "moment for reading, with mode: snapshot"
            )


def _check_call(event: Event, facts: Facts) -> None:
    stages = facts.stages(event.call) if event.call else frozenset()
    if event.kind in RESERVES:
        if not event.call or stages & RESERVES:
            raise LedgerError(f"call {event.call!r} cannot be reserved: no name, or a used one")
        return
    if SETTLES[event.kind] not in stages:
        raise LedgerError(f"{event.kind}: call {event.call!r} was never reserved")
    if stages & SETTLES.keys():
        raise LedgerError(f"{event.kind}: call {event.call!r} is settled already")


def _check_session(event: Event, facts: Facts) -> None:
    begins = event.kind in RESERVES or bool(event.opens) or event.kind is Kind.SESSION_OPENED
    if not begins and event.kind is not Kind.SESSION_CLOSED:
        return
    stages = facts.session_stages(event.session)
    if Kind.SESSION_CLOSED in stages:
        raise LedgerError(f"{event.kind}: session {event.session!r} is closed")
    if event.kind is Kind.SESSION_OPENED and stages:
        raise LedgerError(f"{event.kind}: session {event.session!r} is open already")


def _check_crossing(event: Event, facts: Facts) -> None:
    if event.body.get("free") is True and not event.account and not event.charge:
        return
    limit = event.body.get("limit")
    if not is_lasting(event.account) or event.charge <= 0 or type(limit) is not int:
        raise LedgerError(f"{event.kind} must charge its bits to an account that outlasts domains")
    if facts.spent(event.account) + event.charge > limit:
        raise LedgerError(
            f"{event.kind} of {event.charge} bits passes the limit of {limit} of {event.account!r}"
        )


def _written(event: Event, held: Held) -> frozenset[str]:
    """What is open for writing once the event stands, where its labels can be affected."""
    opening = frozenset(name for name, use in event.opens.items() if use is Use.WRITE)
    return opening | held.writing if event.takes else opening


def _closes(event: Event, held: Held) -> frozenset[str]:
    mine = frozenset(o.workspace for o in held.opened if o.session == event.session)
    return mine if event.kind is Kind.SESSION_CLOSED else event.closes & mine


def _label(facts: Facts, name: str) -> CapabilitySet:
    state = facts.workspace(name)
    return state.label if state else NONE
