"""The sessions of a tree: its root's position, and sub-agents that share their parent's domain."""

from dataclasses import replace

from ...inference.names import resolve_model
from ...subagents.budget import Purse
from ...subagents.prompt import SharedPrefix
from ...subagents.tree import TeamLimits, Tree
from ..assembling import Shared, assemble
from ..enforcement import Actor
from ..holdings import mounts
from ..interface import OnEvent
from ..machinery import Machinery
from ..profiles import SandboxPlan
from ..schemas import AgentSpec
from ..session import LocalSession
from ..specparts import RunLimitsSpec
from ..teamspec import AttenuatedSpec
from ..tools import ToolDefinition
from ..workspaces.shared import SessionWorkspace, SharedWorkspace
from .lineage import Lineage, session_opened
from .offers import offer
from .standing import Position, Standing


def first_position(
    spec: AgentSpec, actor: Actor, purse: Purse, watcher: OnEvent | None
) -> Position:
    """The place of an agent that nobody called: the root of a tree."""
    tree = Tree(TeamLimits(**spec.team.model_dump()), spec.name)
    return Position(Lineage(actor.session), tree.root, purse, watcher)


def admit_attenuated(
    shared: Shared,
    machinery: Machinery,
    parent: Standing,
    child: AttenuatedSpec,
    session: str,
    position: Position,
) -> LocalSession:
    """Record the session and give it its share. Nothing is read, opened or asked for anew.

    Raises:
        Denied: its model could never be called with its grants.
        SpecError: there is no such model.
    """
    share = parent.share.given(child)
    actor = replace(parent.actor, session=session, grants=share.grants, lender=parent.actor)
    model = parent.model if child.model is None else resolve_model(child.model)
    models = shared.models(actor, model, position.lineage.depth)
    workspace = _workspace(parent, child)
    standing = replace(
        parent,
        spec=_as_agent(child, parent.spec),
        actor=actor,
        position=position,
        share=share,
        tools=_tools(parent, child),
        model=model,
        prefix=_prefix(parent.prefix, child),
        plan=_plan(parent.plan, actor, workspace),
        workspace=workspace,
    )
    opened = session_opened(
        position.lineage,
        agent=child.agent,
        model=standing.spec.model,
        grants=actor.grants,
        instance=machinery.runtime.instance,
        policy=shared.enforcement.point.digest,
    )
    shared.enforcement.record(actor, opened)
    return assemble(shared, standing, models, machinery.pool)


def _tools(parent: Standing, child: AttenuatedSpec) -> dict[str, ToolDefinition]:
    """Those that it names, the very same; none where it names none."""
    return {name: parent.tools[name] for name in child.tools}


def _workspace(parent: Standing, child: AttenuatedSpec) -> SessionWorkspace | None:
    if child.workspace == "none" or parent.workspace is None:
        return None
    return SharedWorkspace(parent.workspace, read_only=child.workspace == "read")


def _plan(plan: SandboxPlan, actor: Actor, workspace: SessionWorkspace | None) -> SandboxPlan:
    """Sandboxes like its parent's, which it shares wherever they show the same."""
    mount, executable = mounts(workspace, actor.grants)
    return replace(plan, session=actor.session, mount=mount, executable_mount=executable)


def _prefix(prefix: SharedPrefix, child: AttenuatedSpec) -> SharedPrefix:
    """Its siblings' too, unless it has sub-agents of its own to be shown."""
    if not child.agents:
        return prefix
    own = [offer(each) for each in child.agents]
    taken = {each.name for each in own}
    kept = [tool for tool in prefix.tools if tool.name not in taken]
    return replace(prefix, tools=[*kept, *own])


def _limits(child: AttenuatedSpec, parent: AgentSpec) -> RunLimitsSpec:
    own = {} if child.limits is None else child.limits.model_dump()
    return parent.limits.model_copy(update=own)


def _as_agent(child: AttenuatedSpec, parent: AgentSpec) -> AgentSpec:
    """What it is, as an agent: what it does not say is its parent's."""
    changes = {
        "name": child.agent,
        "instructions": child.instructions,
        "agents": child.agents,
        "model": child.model or parent.model,
        "grants": parent.grants if child.grants is None else child.grants,
        "limits": _limits(child, parent),
    }
    return parent.model_copy(update=changes)
