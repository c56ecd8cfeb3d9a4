"""Deciding one delegation and recording it, before anything of it exists."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

from trilemma.errors import Denied, LimitReached

from ...policy.capability import NONE
from ...policy.decision import Verdict
from ...policy.explain import explain
from ...policy.reasons import Reason
from ...policy.request import AccessRequest, Act
from .. import arguments as args
from ..approvals import Approvals
from ..budgets import child_purse
from ..enforcement import Enforcement, Entry, request
from ..interface import OnEvent
from ..ledger.events import Kind
from ..ledger.fold import Held
from ..ledger.store import Reservation
from .offers import TASK
from .route import Route
from .running import Running
from .standing import Position, Standing


@dataclass(frozen=True, slots=True)
class _Room:
    """The place that a sub-agent would get, or why there is none."""

    position: Position | None
    over: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


class _Build(Protocol):
    def __call__(self, held: Held, approved: bool) -> AccessRequest: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the delegations of one session are decided."""

    standing: Standing
    enforcement: Enforcement
    approvals: Approvals

    def admit(
        self, route: Route, call: str, session: str, running: Running, watcher: OnEvent
    ) -> tuple[Position, Reservation]:
        """Decide and record. What it takes is taken by then.

        Raises:
            Denied: with the explanation, which stands in the ledger too.
            LedgerError: it cannot be recorded, so it must not happen.
            Cancelled: the session is ending.
        """
        parent = self.standing.position.node
        # Counted before it is decided, so that two at once cannot both be the last.
        children, total = len(parent.children), parent.tree.total
        room = self._room(route, running, watcher)

        def build(held: Held, approved: bool) -> AccessRequest:
            facts = route.facts(held)
            over = (*facts.over, *room.over)
            depth = parent.depth + 1
            facts = replace(facts, depth=depth, children=children, total=total, over=over)
            return request(
                self.standing.actor,
                held,
                Act.DELEGATION,
                NONE,
                label=route.label,
                delegation=facts,
                approved=approved,
                details=(*route.details(), *room.details),
            )

        made = self._reserve(route, call, session, build)
        if not made.decision.allowed or room.position is None:
            text = explain(made.request, made.decision)
            raise Denied(text, reasons=made.decision.reasons, call=call)
        if route.spec.mode == "mediated":
            # What came back at its end would tell its parent how much it used.
            room.position.purse.seal()
        return room.position, made

    def _reserve(self, route: Route, call: str, session: str, build: _Build) -> Reservation:
        """Decide; where a person must approve it, ask and decide again."""
        actor, agent = self.standing.actor, route.spec.agent
        entry = Entry(Kind.CALL_RESERVED, Kind.CALL_DENIED, agent, call, body=_body(route, session))
        made = self.enforcement.reserve(actor, entry, partial(build, approved=False))
        if made.decision.verdict is not Verdict.NEEDS_APPROVAL:
            return made
        if not self.approvals.given(agent, {TASK: route.task}, made):
            return made
        return self.enforcement.reserve(actor, entry, partial(build, approved=True))

    def _room(self, route: Route, running: Running, watcher: OnEvent) -> _Room:
        here, spec, holds = self.standing.position, route.spec, running.holds
        stop = partial(running.give_up, "cancelled")
        try:
            node = holds.enter_context(here.node.tree.enter(here.node, spec.agent, stop))
            purse = child_purse(here.purse, spec.agent, spec.limits, route.own_limits)
        except Denied as denial:
            return _Room(None, denial.reasons, (str(denial),))
        except LimitReached as limit:
            return _Room(None, (str(Reason.BUDGET),), (_too_little(spec.agent, limit),))
        holds.callback(purse.close)
        lineage = here.lineage.child(self.standing.actor.session, spec.mode)
        return _Room(Position(lineage, node, purse, watcher))


def _too_little(agent: str, limit: LimitReached) -> str:
    """For a model: how much is left would tell what mediated sub-agents used."""
    return f"of {limit.limit}, less is left than {agent} is to have set aside"


def _body(route: Route, session: str) -> dict[str, Any]:
    spec = route.spec
    task = args.digest(route.task)
    return {"agent": spec.agent, "mode": spec.mode, "child": session, "task": task}
