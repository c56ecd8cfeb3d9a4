"""Chat messages, function tools, replies and usage: what travels to a model and back."""

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """A tool as a model sees it. Only function tools exist: no provider-hosted ones."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments, an object."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it. The gateway parses it, strictly."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. Content is text: inline data only, no remote URLs."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """The call that a ``tool`` message answers."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one or more model calls used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0
    priced: bool = True
    """False where the price of any call is not known; ``cost_usd`` then counts the others."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.cost_usd + other.cost_usd,
            self.priced and other.priced,
        )

    def since(self, before: "Usage") -> "Usage":
        """What was used after ``before``, which is part of this."""
        return Usage(
            self.input_tokens - before.input_tokens,
            self.output_tokens - before.output_tokens,
            self.cached_tokens - before.cached_tokens,
            self.cost_usd - before.cost_usd,
            self.priced,
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's answer: text, tool calls, or both."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class CallIdentity:
    """Who makes a call, in words that mean something to a model server inside and to nobody else.

    The gateway mints it from what it knows; no caller, spec, model or tool can say any of it.
    """

    session: str
    """The same for all calls of one session."""
    tree: str
    """The same for a session and its children, as far as their domain goes."""
    parent: str
    """The session that made this one; empty for the first of its domain."""
    priority: int
    """Higher goes first where calls wait."""
    cache_salt: str
    """What was computed for a prefix under another salt is not reused."""
