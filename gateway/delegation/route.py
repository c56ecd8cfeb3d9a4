"""What differs between sub-agents in their parent's domain and those in one of their own."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ...policy.capability import CapabilitySet
from ...policy.request import DelegationFacts
from ...subagents.calls import CallTool
from ...subagents.outcome import Outcome
from ...subagents.prompt import Layout
from ..ledger.fold import Held
from ..specparts import RunLimitsSpec
from ..teamspec import AttenuatedSpec, ChildSpec, MediatedSpec
from .standing import Position, Standing

if TYPE_CHECKING:
    from ..session import LocalSession


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back to whoever handed the task on."""

    ok: bool
    stop: str
    text: str
    value: Any


class Openers(Protocol):
    """Opens the sessions of sub-agents. Blocking; refusals leave nothing open."""

    def attenuated(
        self, parent: Standing, child: AttenuatedSpec, session: str, position: Position
    ) -> "LocalSession":
        """A session in the parent's domain, with its share of what the parent has."""
        ...

    def mediated(
        self,
        parent: Standing,
        child: MediatedSpec,
        session: str,
        position: Position,
        brings: CapabilitySet,
    ) -> "LocalSession":
        """A session in a domain of its own, whose task ``brings`` labels along."""
        ...


class Route(Protocol):
    """One task on its way to one sub-agent and back. What blocks runs in a thread."""

    @property
    def spec(self) -> ChildSpec:
        """The sub-agent."""
        ...

    @property
    def own_limits(self) -> RunLimitsSpec | None:
        """Limits of its own, that nobody sets aside."""
        ...

    @property
    def task(self) -> Any:
        """What is handed on, as JSON values."""
        ...

    @property
    def label(self) -> CapabilitySet:
        """What the answer, and the task itself, bring into the parent's domain."""
        ...

    def facts(self, held: Held) -> DelegationFacts:
        """The delegation as policy sees it, when the parent's domain holds this."""
        ...

    def details(self) -> tuple[str, ...]:
        """What exactly is wrong with it, for people."""
        ...

    def open(self, session: str, position: Position, brings: CapabilitySet) -> "LocalSession":
        """Open its session, with a task that ``brings`` labels into its domain. Blocking."""
        ...

    def send(self, child: "LocalSession") -> str:
        """Let the task cross; as the sub-agent's model reads it. Blocking."""
        ...

    def layout(self, child: "LocalSession") -> Layout:
        """How its prompt is laid out."""
        ...

    def tools(self, child: "LocalSession") -> CallTool:
        """How it calls tools."""
        ...

    def receive(self, child: "LocalSession", outcome: Outcome) -> Answer:
        """Let the answer cross. Blocking."""
        ...

    def failed(self, child: "LocalSession | None", error: Exception) -> Answer:
        """It never came to work. Blocking."""
        ...
