"""What a model is: a name, where it runs, and one way to call it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .messages import CallIdentity, FunctionTool, Message, Reply


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model by name. ``provider`` is what the operator's policy names under contract."""

    name: str
    """As the user wrote it, such as ``gullible`` or ``anthropic/claude-sonnet-4-5``."""
    provider: str
    """``builtin``, ``cluster``, ``openai``, ``anthropic`` ..."""
    inside: bool
    """True where no byte of a call leaves the trust boundary."""
    caches: bool = False
    """True where a prefix that was read once is cheap to read again, under the same salt."""


class Model(Protocol):
    """One way to call one model."""

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        ...

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        *,
        identity: CallIdentity | None = None,
        max_tokens: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer the conversation; ``on_text`` is given pieces of text as they come.

        ``identity`` is for models inside, which refuse a call without one; none of it goes to a
        model outside. ``max_tokens`` is the longest answer, where the model can be told.

        Raises:
            ModelError: the model cannot be reached or its answer cannot be used.

        """
        ...
