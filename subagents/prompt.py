"""How a prompt is laid out: what all siblings share comes first, byte for byte; the task last.

A model server keeps what it computed for a prefix that it has read (a *prefix cache*), but only up
to the first byte that differs. So every session of a tree opens with the same instructions, the
same tools in the same order and the same context, whatever it may do itself; its own part, the
names of the tools that are its own, and its task stand at the end of the last message. A child with
fewer tools is held to them when it calls one, by the gateway, and not by another list.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..inference.messages import FunctionTool, Message

_NONE = "You may call none of the tools that you were shown."
_SOME = "Of the tools that you were shown you may call only these: {names}."


@dataclass(frozen=True, slots=True)
class SharedPrefix:
    """What all sessions of one tree and domain send first."""

    instructions: str = ""
    """The root's."""
    tools: Sequence[FunctionTool] = ()
    """Everything that the root is offered. Kept by name, their schemas in one canonical form."""
    context: str = ""
    """What the siblings of one fan-out all need to know. It opens their last message: as data, not
    as instructions, and in one message, since some models refuse two of one role in a row."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tools", in_order(self.tools))

    def with_context(self, context: str) -> "SharedPrefix":
        """The same for one fan-out, whose siblings all need to know this."""
        return self if context == self.context else replace(self, context=context)

    @property
    def messages(self) -> tuple[Message, ...]:
        """The messages before the last one."""
        return (Message("system", self.instructions),) if self.instructions else ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The prompt of one session but for its task."""

    shared: SharedPrefix = field(default_factory=SharedPrefix)
    own: str = ""
    """The instructions of this session alone; a root's are the shared ones."""
    may_call: frozenset[str] | None = None
    """The names of its tools; None where they are all of the shared ones."""

    @property
    def tools(self) -> Sequence[FunctionTool]:
        """What the model is shown."""
        return self.shared.tools

    def opening(self, task: str) -> tuple[Message, ...]:
        """The messages that a conversation about this task opens with."""
        parts = (self.shared.context, self.own, self._names(), task)
        last = "\n\n".join(part for part in parts if part)
        return (*self.shared.messages, Message("user", last))

    def _names(self) -> str:
        if self.may_call is None:
            return ""
        # In the order in which they are shown, so that equal sets read the same.
        names = [tool.name for tool in self.tools if tool.name in self.may_call]
        return _SOME.format(names=", ".join(names)) if names else _NONE


def in_order(tools: Sequence[FunctionTool]) -> tuple[FunctionTool, ...]:
    """The same tools by name, equal schemas written alike."""
    ordered = sorted(tools, key=lambda tool: tool.name)
    return tuple(
        FunctionTool(tool.name, tool.description, _canonical(tool.parameters)) for tool in ordered
    )


def _canonical(schema: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps(schema, sort_keys=True))
    return written
