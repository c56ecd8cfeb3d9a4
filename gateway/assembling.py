"""A session put together from what it stands on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ..inference.messages import CallIdentity
from ..inference.model import Model
from ..policy.operator import OperatorPolicy
from ..sandbox.pool import Pool
from ..sandbox.spec import Mount
from .alarm import Alarm
from .calls import Calls
from .catalog import fitting
from .crossings import Crossings
from .delegation.delegations import Delegations
from .delegation.route import Openers
from .delegation.standing import Standing
from .diskwatch import DiskWatch
from .dispatch import Dispatch
from .egress import Exit
from .enforcement import Actor, Enforcement
from .holdings import Domains, RootHoldings, Seat
from .identity import IdentityMint
from .idling import Idling
from .models import ModelCalls
from .outgoing import Outgoing
from .runs.log import NOT_KEPT, Keeping
from .runs.starting import RunStart
from .session import LocalSession
from .workspaces.packwatch import PackWatch
from .workspaces.registry import Workspaces
from .workspaces.shared import SessionWorkspace

_TURN = 60.0
"""Seconds that a sub-agent's call waits until a sibling gives back its sandbox."""


def _watch(workspace: SessionWorkspace | None, limit: int) -> DiskWatch | PackWatch | None:
    return None if workspace is None else workspace.watch(limit)


@dataclass(frozen=True)
class Shared:
    """What all sessions of one gateway share."""

    enforcement: Enforcement
    policy: OperatorPolicy
    mint: IdentityMint
    crossings: Crossings
    openers: Openers
    workers: ThreadPoolExecutor
    release: Callable[[LocalSession], None]
    domains: Domains
    alarm: Alarm

    def idling(
        self,
        actor: Actor,
        workspace: SessionWorkspace | None,
        workspaces: Workspaces,
        after: float | None,
    ) -> Idling:
        """Of a root that uses its domain from now on: when it gives back what it holds."""
        held = RootHoldings(
            actor.domain, workspace, self.domains, workspaces, self.enforcement.point
        )
        return Idling(held, self.alarm, after)

    def models(self, actor: Actor, model: Model, depth: int) -> ModelCalls:
        """The model calls of a session, looked at before anything is started for it.

        Raises:
            Denied: its grants could never allow the first one.
        """
        contract = model.ref.provider in self.policy.providers.under_contract
        calls = ModelCalls(self.enforcement, actor, model, contract, self._identity(actor, depth))
        calls.check()
        return calls

    def _identity(self, actor: Actor, depth: int) -> CallIdentity:
        """What a server inside may know of the calls. Of another domain it knows nothing."""
        if actor.lender is None:
            return self.mint.mint(actor, depth=depth)
        tree, parent = actor.first.session, actor.lender.session
        return self.mint.mint(actor, depth=depth, tree=tree, parent=parent)


def assemble(
    shared: Shared,
    standing: Standing,
    models: ModelCalls,
    pool: Pool,
    keeping: Keeping = NOT_KEPT,
    run: RunStart | None = None,
) -> LocalSession:
    """The session. It is recorded already, and what it works on is open."""
    actor, workspace = standing.actor, standing.workspace
    exit = Exit(actor, standing.destinations, Outgoing(standing.position.purse))
    shown = workspace.mounts if workspace else tuple[Mount, ...]
    watch = partial(_watch, workspace, standing.plan.limits.layer)
    # Where sandboxes are scarce siblings take turns; a session that a person opened is told so.
    patience = _TURN if standing.position.lineage.depth else 0.0
    dispatch = Dispatch(pool, standing.plan, standing.egress, exit, watch, shown, patience)
    tools = dict(standing.tools)
    seat = Seat(dispatch, workspace, actor.grants)
    standing.idling.join(seat)
    run_call = partial(standing.idling.run, seat)
    calls = Calls(shared.enforcement, actor, tools, run_call, standing.approve, keeping)
    if actor.lender is None and actor.grants is not None:
        dispatch.prewarm(fitting(tools.values(), actor.grants), actor.grants)
    delegations = Delegations(
        standing,
        shared.enforcement,
        shared.crossings,
        shared.openers,
        keeping,
        shared.workers,
    )
    return LocalSession(
        standing,
        shared.enforcement,
        calls,
        models,
        dispatch,
        partial(standing.idling.leave, seat),
        delegations,
        shared.workers,
        shared.release,
        keeping,
        run,
    )
