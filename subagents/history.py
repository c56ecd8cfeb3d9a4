"""Linear history: what the model saw is exactly what is kept, in the same order."""

from dataclasses import dataclass, field

from ..inference.messages import Message, Reply, ToolCall
from .prompt import Layout


@dataclass(slots=True)
class History:
    """The conversation of one run. It only grows."""

    _messages: list[Message] = field(default_factory=list)

    @classmethod
    def begin(cls, layout: Layout, task: str) -> "History":
        """A conversation that opens with what the layout puts first, and ends with the task."""
        return cls(list(layout.opening(task)))

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of it so far."""
        return tuple(self._messages)

    @property
    def last_text(self) -> str:
        """The last text of the model that is not empty."""
        texts = (m.content for m in reversed(self._messages) if m.role == "assistant")
        return next((text for text in texts if text), "")

    def add_reply(self, reply: Reply) -> None:
        """What the model said."""
        self._messages.append(Message("assistant", reply.content, reply.tool_calls))

    def add_result(self, call: ToolCall, text: str) -> None:
        """What one of its calls gave."""
        self._messages.append(Message("tool", text, tool_call_id=call.id))
