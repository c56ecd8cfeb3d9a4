"""Sub-agents as data: those that share their parent's domain, and those with one of their own."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from ..policy.capability import CapabilitySet
from ..subagents.crossing.compound import CrossingType
from .narrowing import Access, Share, excesses
from .specparts import ChildLimitsSpec, Frozen, Grants, ToolName

if TYPE_CHECKING:
    from .schemas import AgentSpec

ANSWER = "answer"
"""The tool by which a mediated sub-agent gives its answer. No agent and no tool has that name."""

_Description = Annotated[str, Field(max_length=4096)]


class TeamLimitsSpec(Frozen):
    """How large a tree of agents may grow. The root's are those of the whole tree."""

    depth: int = Field(default=3, ge=0, le=16)
    """Sub-agents of sub-agents; 0 lets nobody call any."""
    width: int = Field(default=16, ge=1, le=1024)
    """Sub-agents that one agent has at work at once."""
    total: int = Field(default=256, ge=1, le=100_000)
    """Sub-agents that the tree has in all."""


class AttenuatedSpec(Frozen):
    """A sub-agent in its parent's domain: it has a part of what its parent has, and no more."""

    agent: ToolName
    """Its name: for the model of its parent it is a tool of that name."""
    description: _Description = ""
    """What its parent's model is told about it."""
    mode: Literal["attenuated"] = "attenuated"
    instructions: str = ""
    model: str | None = None
    """None: its parent's."""
    grants: Grants | None = None
    """None: its parent's."""
    tools: tuple[ToolName, ...] = ()
    """Names of tools of its parent. None of them where the list is empty."""
    workspace: Access = "none"
    """``write``: the parent's very view; ``read``: the same, and nothing can be changed in it."""
    agents: tuple["ChildSpec", ...] = ()
    limits: ChildLimitsSpec | None = None
    """Set aside from what its parent has left. None: it draws on that like its parent."""
    handoff: bool = False
    """It takes over: its answer is its parent's, whose run ends with it."""

    @field_validator("agents")
    @classmethod
    def _one_of_a_name(cls, value: tuple["ChildSpec", ...]) -> tuple["ChildSpec", ...]:
        check_names(value)
        return value

    @property
    def granted(self) -> CapabilitySet | None:
        """The grants as a set, or None where they are its parent's."""
        return None if self.grants is None else frozenset(self.grants)


class MediatedSpec(Frozen):
    """A sub-agent in a domain of its own. Only values of declared types cross, and are counted."""

    agent: ToolName
    description: _Description = ""
    mode: Literal["mediated"]
    spec: "AgentSpec | None" = None
    """The agent itself, or the file that holds it."""
    file: str | None = None
    """Relative to the file of the agent that calls it."""
    asks: CrossingType
    """What its parent may say to it."""
    answers: CrossingType
    """What it may say back."""
    limits: ChildLimitsSpec | None = None
    """Set aside from what its parent has left. None: its own limits, beside its parent's."""

    @model_validator(mode="after")
    def _one_source(self) -> "MediatedSpec":
        if (self.spec is None) == (self.file is None):
            raise ValueError("a mediated sub-agent needs either 'spec' or 'file'")
        return self

    @property
    def granted(self) -> CapabilitySet | None:
        """The grants as a set, or None where the first two taken latch."""
        return None if self.spec is None else self.spec.granted

    @property
    def handoff(self) -> bool:
        """Never: whoever took over would answer in free text."""
        return False


def _mode(value: Any) -> str:
    mode = value.get("mode") if isinstance(value, dict) else getattr(value, "mode", None)
    return "mediated" if mode == "mediated" else "attenuated"


ChildSpec = Annotated[
    Annotated[AttenuatedSpec, Tag("attenuated")] | Annotated[MediatedSpec, Tag("mediated")],
    Discriminator(_mode),
]


def mediated_within(children: tuple[ChildSpec, ...]) -> int:
    """How many mediated sub-agents one domain can call: these, and those of who shares it."""
    return sum(
        1 if isinstance(child, MediatedSpec) else mediated_within(child.agents)
        for child in children
    )


def check_names(children: tuple[ChildSpec, ...], taken: frozenset[str] = frozenset()) -> None:
    """Refuse two things of one name, and the name that is kept for answers.

    Raises:
        ValueError: naming it.
    """
    seen = set(taken) | {ANSWER}
    for child in children:
        if child.agent in seen:
            raise ValueError(f"{child.agent!r} is the name of something else here; choose another")
        seen.add(child.agent)


def check_team(children: tuple[ChildSpec, ...], has: Share, tools: frozenset[str]) -> None:
    """Refuse what cannot be a team of an agent that has ``has``, and tools of these names.

    Raises:
        ValueError: naming what is wrong.
    """
    if ANSWER in tools:
        raise ValueError(f"{ANSWER!r} is a name that is kept; call the tool something else")
    check_names(children, tools)
    check_children(children, has)


def check_children(children: tuple[ChildSpec, ...], has: Share) -> None:
    """Refuse sub-agents that are wider than whoever calls them, all the way down.

    Raises:
        ValueError: naming the sub-agent, what it has too much of, and what there is.
    """
    for child in children:
        if isinstance(child, AttenuatedSpec):
            for excess in excesses(child, has):
                raise ValueError(
                    f"sub-agent {child.agent!r} has more than its parent: {excess.text}"
                )
            check_children(child.agents, has.given(child))
