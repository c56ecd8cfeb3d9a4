"""Linear history: what the model saw is what is kept, in the same order, within a bound."""

from collections.abc import Iterable

from ..inference.messages import Message, Reply, ToolCall
from .compaction import fold, weigh, weight


class History:
    """The conversation of one run. It grows until it is folded."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = list(messages)
        self._weight = weigh(self._messages)

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
        self._add(Message("assistant", reply.content, reply.tool_calls))

    def add_result(self, call: ToolCall, text: str) -> None:
        """What one of its calls gave."""
        self._add(Message("tool", text, tool_call_id=call.id))

    def keep_within(self, bound: int | None) -> None:
        """Fold what is older, where the conversation has more tokens than this.

        Raises:
            LimitReached: its newest part alone has more.
        """
        if bound is not None and self._weight > bound:
            self._messages = list(fold(self._messages, bound))
            self._weight = weigh(self._messages)

    def _add(self, message: Message) -> None:
        self._messages.append(message)
        self._weight += weight(message)
