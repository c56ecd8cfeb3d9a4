"""From an agent's spec to a running session: everything that can refuse it, in order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trilemma.errors import SpecError

from ..policy.capability import CapabilitySet
from ..sandbox.images import pinned
from ..subagents.prompt import SharedPrefix
from .assembling import Shared, assemble
from .catalog import definitions, fitting
from .delegation.lineage import session_opened
from .delegation.offers import offer
from .delegation.standing import Position, Standing
from .destinations import Destinations
from .egress import DomainEgress
from .enforcement import Actor, Enforcement
from .holdings import mounts
from .inputs import take_labels
from .interface import Approve
from .ledger.events import Event, Kind
from .machinery import Machinery
from .models import ModelCalls
from .profiles import SandboxPlan, limits
from .runs.log import NOT_KEPT, Keeping
from .runs.starting import RunStart
from .schemas import AgentSpec
from .session import LocalSession
from .teamspec import check_team, mediated_within
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
    position: Position
    run: RunStart | None = None
    """The run that is kept, if it is."""
    above: tuple[Path, ...] = ()
    """The files that make those what they are who called it."""

    def admit(
        self, shared: Shared, machinery: Machinery, models: ModelCalls, egress: DomainEgress
    ) -> LocalSession:
        """Record the session, open what it needs, and hand it over.

        Raises:
            SpecError, Denied, WorkspaceError, SandboxError: it is refused; nothing stays open.
        """
        enforcement = shared.enforcement
        tools = {tool.name: tool for tool in definitions(self.spec, machinery.describe)}
        _check_team(self.spec, frozenset(tools))
        self._record_opened(enforcement, machinery)
        workspace = None
        try:
            take_labels(enforcement, self.actor, self.brings)
            workspace = self._open_workspace(enforcement, machinery)
            keeping = self._keeping(tools.values(), workspace, enforcement)
            plan = self._plan(tools.values(), workspace, machinery)
            after = self.spec.limits.idle_seconds
            idling = shared.idling(self.actor, workspace, machinery.workspaces, after)
            standing = Standing(
                spec=self.spec,
                actor=self.actor,
                position=self.position,
                share=replace(self.spec.share(frozenset(tools)), tools=frozenset(tools)),
                tools=tools,
                model=models.model,
                prefix=self._prefix(tools.values()),
                plan=plan,
                workspace=workspace,
                workspaces=frozenset({workspace.original} if workspace else ()),
                sources=self._sources,
                choices=mediated_within(self.spec.agents),
                egress=egress,
                destinations=Destinations(self.spec.destinations, shared.policy.egress.allow),
                approve=self.approve,
                idling=idling,
            )
            return assemble(shared, standing, models, machinery.pool, keeping, self.run)
        except BaseException:
            if workspace is not None:
                workspace.close()
            self._record_refused(enforcement)
            raise

    @property
    def _sources(self) -> tuple[Path, ...]:
        return (*self.above, *self.spec.sources)

    def _prefix(self, tools: Iterable[ToolDefinition]) -> SharedPrefix:
        offered = [tool.offer for tool in fitting(tools, self.actor.grants)]
        offered += [offer(child) for child in self.spec.agents]
        return SharedPrefix(self.spec.instructions, offered)

    def _plan(
        self,
        tools: Iterable[ToolDefinition],
        workspace: SessionWorkspace | None,
        machinery: Machinery,
    ) -> SandboxPlan:
        modules = {tool.module.name: tool.module for tool in tools if tool.module is not None}
        mount, executable = mounts(workspace, self.actor.grants)
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
            sources=self._sources,
        )
        return machinery.workspaces.open(opening, enforcement.point.decide)

    def _keeping(
        self,
        tools: Iterable[ToolDefinition],
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
            lambda: self.position.purse.spent,
        )

    def _record_opened(self, enforcement: Enforcement, machinery: Machinery) -> None:
        events = []
        if self.new_domain:
            events.append(Event(kind=Kind.DOMAIN_OPENED, what="its own domain"))
        opened = session_opened(
            self.position.lineage,
            agent=self.spec.name,
            model=self.spec.model,
            grants=self.actor.grants,
            instance=machinery.runtime.instance,
            policy=enforcement.point.digest,
            run=self.run.run if self.run else None,
        )
        events.append(opened)
        enforcement.record(self.actor, *events)

    def _record_refused(self, enforcement: Enforcement) -> None:
        body = {"reason": "refused"}
        enforcement.record(self.actor, Event(kind=Kind.SESSION_CLOSED, what="session", body=body))


def _check_team(spec: AgentSpec, tools: frozenset[str]) -> None:
    """Once more, now that the names in tool files are known."""
    try:
        check_team(spec.agents, spec.share(tools), tools)
    except ValueError as error:
        raise SpecError(f"agent {spec.name!r}: {error}") from None
