"""From an agent's spec to a running session: everything that can refuse it, in order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from trilemma.errors import SpecError

from ..inference.names import resolve_model
from ..policy.capability import Capability, CapabilitySet, ordered
from ..policy.operator import OperatorPolicy
from ..sandbox.images import pinned
from ..sandbox.spec import Mount
from ..subagents.budget import Purse
from .calls import Calls
from .catalog import definitions, fitting
from .destinations import Destinations
from .dispatch import Dispatch
from .egress import DomainEgress, Exit
from .enforcement import Actor, Enforcement
from .identity import IdentityMint
from .inputs import take_labels
from .interface import Approve
from .ledger.events import Event, Kind
from .machinery import Machinery
from .models import ModelCalls
from .outgoing import Outgoing
from .profiles import SandboxPlan, limits
from .runs.log import NOT_KEPT, Keeping
from .runs.starting import RunStart
from .schemas import AgentSpec
from .session import LocalSession
from .tools import ToolDefinition
from .workspaces.opening import Mode, Opening, Origin
from .workspaces.shared import SessionWorkspace


@dataclass(frozen=True)
class Admission:
    """One agent that asks to be run."""

    spec: AgentSpec
    actor: Actor
    brings: CapabilitySet
    """Labels of the results that its task was made from."""
    new_domain: bool
    layer: str | None
    approve: Approve | None
    purse: Purse
    run: RunStart | None = None
    """The run that is kept, if it is."""

    def models(
        self, enforcement: Enforcement, policy: OperatorPolicy, mint: IdentityMint
    ) -> ModelCalls:
        """The agent's model, checked before anything is started for it.

        Raises:
            SpecError: there is no such model.
            Denied: its grants could never allow the first call.
        """
        model = resolve_model(self.spec.model)
        contract = model.ref.provider in policy.providers.under_contract
        identity = mint.mint(self.actor)
        models = ModelCalls(enforcement, self.actor, model, contract, identity)
        models.check()
        return models

    def admit(
        self,
        enforcement: Enforcement,
        policy: OperatorPolicy,
        machinery: Machinery,
        models: ModelCalls,
        egress: DomainEgress,
        workers: ThreadPoolExecutor,
        release: Callable[[LocalSession], None],
    ) -> LocalSession:
        """Record the session, open what it needs, and hand it over.

        Raises:
            SpecError, Denied, WorkspaceError, SandboxError: it is refused; nothing stays open.
        """
        tools = definitions(self.spec, machinery.describe)
        self._record_opened(enforcement, machinery)
        workspace = None
        try:
            take_labels(enforcement, self.actor, self.brings)
            workspace = self._open_workspace(enforcement, machinery)
            destinations = Destinations(self.spec.destinations, policy.egress.allow)
            exit = Exit(self.actor, destinations, Outgoing(self.purse))
            plan = self._plan(tools, workspace, machinery)
            watch = workspace.watch(plan.limits.layer) if workspace else None
            shown = workspace.mounts if workspace else tuple[Mount, ...]
            dispatch = Dispatch(machinery.pool, plan, egress, exit, watch, shown)
            named = {tool.name: tool for tool in tools}
            keeping = self._keeping(tools, workspace, enforcement)
            calls = Calls(enforcement, self.actor, named, dispatch.run, self.approve, keeping)
            offered = fitting(tools, self.actor.grants)
            if self.actor.grants is not None:
                dispatch.prewarm(offered, self.actor.grants)
            return LocalSession(
                self.spec,
                self.actor,
                enforcement,
                [tool.offer for tool in offered],
                calls,
                models,
                dispatch,
                workspace,
                workers,
                release,
                self.purse,
                keeping,
                self.run,
            )
        except BaseException:
            if workspace is not None:
                workspace.close()
            self._record_refused(enforcement)
            raise

    def _plan(
        self,
        tools: tuple[ToolDefinition, ...],
        workspace: SessionWorkspace | None,
        machinery: Machinery,
    ) -> SandboxPlan:
        modules = {tool.module.name: tool.module for tool in tools if tool.module is not None}
        grants = self.actor.grants
        may_run = grants is None or Capability.CODE in grants
        # In this order: what is carried has its flags from the first.
        executable = workspace.view(exec=True).mount if workspace and may_run else None
        mount = workspace.view(exec=False).mount if workspace else None
        return SandboxPlan(
            domain=self.actor.domain,
            session=self.actor.session,
            locked_image=machinery.image("base"),
            code_image=pinned(self.spec.image) if self.spec.image else machinery.image("code"),
            limits=limits(self.spec.sandbox),
            mount=mount,
            executable_mount=executable,
            modules=tuple(modules.values()),
        )

    def _open_workspace(
        self, enforcement: Enforcement, machinery: Machinery
    ) -> SessionWorkspace | None:
        wanted = self.spec.workspace
        if wanted is None:
            if self.layer is not None:
                raise SpecError(f"layer {self.layer!r} needs an agent with a workspace")
            return None
        opening = Opening(
            path=self.spec.base / Path(wanted.path).expanduser(),
            principal=self.actor.principal,
            domain=self.actor.domain,
            session=self.actor.session,
            grants=self.actor.grants,
            origin=None if wanted.origin is None else Origin(wanted.origin),
            mode=Mode(wanted.mode),
            layer=self.layer,
            sources=self.spec.sources,
        )
        return machinery.workspaces.open(opening, enforcement.point.decide)

    def _keeping(
        self,
        tools: tuple[ToolDefinition, ...],
        workspace: SessionWorkspace | None,
        enforcement: Enforcement,
    ) -> Keeping:
        if self.run is None:
            return NOT_KEPT
        return self.run.log(
            self.actor.session,
            [tool.identity for tool in tools],
            workspace.layer.id if workspace and workspace.layer else None,
            partial(enforcement.record, self.actor),
            lambda: self.purse.spent,
        )

    def _record_opened(self, enforcement: Enforcement, machinery: Machinery) -> None:
        events = []
        if self.new_domain:
            events.append(Event(kind=Kind.DOMAIN_OPENED, what="its own domain"))
        grants = self.actor.grants
        body = {
            "instance": machinery.runtime.instance,
            "agent": self.spec.name,
            "model": self.spec.model,
            "grants": None if grants is None else [str(c) for c in ordered(grants)],
            "policy": enforcement.point.digest,
            "run": self.run.run if self.run else None,
        }
        events.append(Event(kind=Kind.SESSION_OPENED, what=f"agent {self.spec.name}", body=body))
        enforcement.record(self.actor, *events)

    def _record_refused(self, enforcement: Enforcement) -> None:
        body = {"reason": "refused"}
        enforcement.record(self.actor, Event(kind=Kind.SESSION_CLOSED, what="session", body=body))
