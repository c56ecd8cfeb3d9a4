"""What a session has, from which its sub-agents get their share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...inference.model import Model
from ...subagents.budget import Purse
from ...subagents.prompt import SharedPrefix
from ...subagents.tree import Node
from ..destinations import Destinations
from ..egress import DomainEgress
from ..enforcement import Actor
from ..idling import Idling
from ..interface import Approve, OnEvent
from ..narrowing import Share
from ..profiles import SandboxPlan
from ..schemas import AgentSpec
from ..teamspec import ChildSpec
from ..tools import ToolDefinition
from ..workspaces.shared import SessionWorkspace
from .lineage import Lineage


@dataclass(frozen=True, slots=True)
class Position:
    """Where a session stands in its tree, and what it may use."""

    lineage: Lineage
    node: Node
    """Its place among those that run now."""
    purse: Purse
    watcher: OnEvent | None = None
    """Told what happens in sub-agents that its model calls."""


@dataclass(frozen=True)
class Standing:
    """One session, as those see it who are made from it."""

    spec: AgentSpec
    actor: Actor
    position: Position
    share: Share
    """What it has to hand on."""
    tools: Mapping[str, ToolDefinition]
    """Its own, by name."""
    model: Model
    prefix: SharedPrefix
    """What the prompts of all sessions of its domain in this tree begin with."""
    plan: SandboxPlan
    workspace: SessionWorkspace | None
    workspaces: frozenset[str]
    """What may be heard of in its domain, by identity: its own and those of whom it shares with."""
    sources: tuple[Path, ...]
    """The files that make it, and everybody above it, what they are."""
    choices: int
    """Mediated sub-agents that its domain can call, through whichever of those that share it."""
    egress: DomainEgress
    destinations: Destinations
    approve: Approve | None
    idling: Idling
    """When all of its domain in this tree give back what they hold."""

    @property
    def children(self) -> Mapping[str, ChildSpec]:
        """The sub-agents that its model may call, by name."""
        return {child.agent: child for child in self.spec.agents}
