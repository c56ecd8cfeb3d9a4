"""Where an interrupted run goes on."""

from dataclasses import dataclass, field

from ..inference.messages import Message
from .limits import Spent


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run has said, done and used so far."""

    messages: tuple[Message, ...]
    """Its conversation, up to the newest reply and what its calls gave, as far as that is known."""
    answers: tuple[str | None, ...] = ()
    """Where the last message is a reply with calls: what the model reads about each; None for
    those that were never begun, and only those are made."""
    spent: Spent = field(default_factory=Spent)
    seconds: float = 0.0
    """How long it ran, the time between not counted."""
