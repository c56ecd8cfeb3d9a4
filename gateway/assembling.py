"""A session put together from what it stands on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..inference.messages import CallIdentity
from ..inference.model import Model
from ..policy.operator import OperatorPolicy
from ..sandbox.pool import Pool
from ..sandbox.spec import Mount
from .calls import Calls
from .catalog import fitting
from .crossings import Crossings
from .delegation.delegations import Delegations
from .delegation.route import Openers
from .delegation.standing import Standing
from .dispatch import Dispatch
from .egress import Exit
from .enforcement import Actor, Enforcement
from .identity import IdentityMint
from .models import ModelCalls
from .outgoing import Outgoing
from .runs.log import NOT_KEPT, Keeping
from .runs.starting import RunStart
from .session import LocalSession


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

    def models(self, actor: Actor, model: Model) -> ModelCalls:
        """The model calls of a session, looked at before anything is started for it.

        Raises:
            Denied: its grants could never allow the first one.
        """
        contract = model.ref.provider in self.policy.providers.under_contract
        calls = ModelCalls(self.enforcement, actor, model, contract, self._identity(actor))
        calls.check()
        return calls

    def _identity(self, actor: Actor) -> CallIdentity:
        """What a server inside may know of the calls. Of another domain it knows nothing."""
        if actor.lender is None:
            return self.mint.mint(actor)
        return self.mint.mint(actor, tree=actor.first.session, parent=actor.lender.session)


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
    watch = workspace.watch(standing.plan.limits.layer) if workspace else None
    exit = Exit(actor, standing.destinations, Outgoing(standing.position.purse))
    shown = workspace.mounts if workspace else tuple[Mount, ...]
    dispatch = Dispatch(pool, standing.plan, standing.egress, exit, watch, shown)
    tools = dict(standing.tools)
    calls = Calls(shared.enforcement, actor, tools, dispatch.run, standing.approve, keeping)
    if actor.lender is None and actor.grants is not None:
        dispatch.prewarm(fitting(tools.values(), actor.grants), actor.grants)
    delegations = Delegations(
        standing, shared.enforcement, shared.crossings, shared.openers, keeping
    )
    return LocalSession(
        standing,
        shared.enforcement,
        calls,
        models,
        dispatch,
        delegations,
        shared.workers,
        shared.release,
        keeping,
        run,
    )
