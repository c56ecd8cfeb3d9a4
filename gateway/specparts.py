"""What the schemas of agents and of sub-agents are made of."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ..policy.capability import Capability, ordered, show
from ..policy.rule import LIMIT

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
ToolName = Annotated[str, Field(pattern=NAME)]


class Frozen(BaseModel):
    """Base of every schema: unknown fields are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChildLimitsSpec(Frozen):
    """What a sub-agent may use: what is named is set aside from what its parent has left."""

    steps: int | None = Field(default=None, ge=1, le=100_000)
    tokens: int | None = Field(default=None, ge=1)
    usd: float | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    bytes_out: int | None = Field(default=None, ge=1)
    """Bytes that leave, within the operator's own budget for the domain."""


class RunLimitsSpec(ChildLimitsSpec):
    """What an agent and all below it may use before they are stopped."""

    steps: int = Field(default=50, ge=1, le=100_000)
    context_tokens: int | None = Field(default=120_000, ge=4096)
    """What a model is sent at most, roughly: beyond it the oldest steps are folded into a note."""
    idle_seconds: float | None = Field(default=300.0, gt=0)
    """After so long without a call a session gives back its sandboxes and its workspace, until its
    next call."""


def read_capabilities(value: Any) -> Any:
    """A list of names as capabilities in their one order."""
    if isinstance(value, str):
        raise ValueError(f"must be a list such as [files, code], not {value!r}")
    if isinstance(value, (list, tuple, set, frozenset)):
        known = set(Capability)
        for name in value:
            if not isinstance(name, str) or name not in known:
                three = ", ".join(Capability)
                raise ValueError(f"unknown capability {name!r}; the three are: {three}")
        return ordered(frozenset(Capability(name) for name in value))
    return value


def _pick_two(value: tuple[Capability, ...]) -> tuple[Capability, ...]:
    if len(set(value)) > LIMIT:
        raise ValueError(
            f"grants asks for three capabilities, {show(frozenset(value))}: pick two. "
            "What needs the third belongs in another agent with its own grants"
        )
    return value


Needs = Annotated[tuple[Capability, ...], BeforeValidator(read_capabilities)]
"""Any capabilities."""
Grants = Annotated[Needs, AfterValidator(_pick_two)]
"""At most two."""
