"""How one tool call, and how a whole run, ended."""

from dataclasses import dataclass
from enum import StrEnum

from trilemma.errors import Cancelled, LimitReached, TrilemmaError

from ..inference.messages import Message, Usage
from ..policy.capability import NONE, CapabilitySet


class State(StrEnum):
    """How a run ended."""

    DONE = "done"
    LIMIT = "limit"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What the gateway gives back for a tool call."""

    text: str
    """What the model reads: the result, the error, or the explanation of a denial."""
    ok: bool = True
    denied: bool = False
    reasons: tuple[str, ...] = ()
    call_id: str = ""
    """The ledger's name of the call: what ``trilemma why`` takes."""
    labels: CapabilitySet = NONE
    """What the result carries."""
    final: bool = False
    """True where the run ends with it: ``text`` is the run's answer then."""
    held: CapabilitySet | None = None
    """What the domain holds after the call; None where the gateway does not say."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that ended, however it ended."""

    state: State
    text: str
    """The model's last text: the answer, where ``state`` is DONE."""
    messages: tuple[Message, ...]
    """What the model saw and said, from the first message to the last."""
    steps: int
    usage: Usage
    seconds: float
    error: TrilemmaError | None = None
    """Why the run did not end by itself; None for DONE."""

    @property
    def stop(self) -> str:
        """What ended the run, in one word: its state, the name of the limit, or ``stopped``."""
        if isinstance(self.error, LimitReached):
            return self.error.limit
        if self.state is State.FAILED and isinstance(self.error, Cancelled):
            return "stopped"
        return str(self.state)

    def raise_for_state(self) -> None:
        """Turn a run that did not end by itself into its error.

        Raises:
            LimitReached: a limit was used up.
            Cancelled: the caller cancelled it.
            TrilemmaError: anything else that ended it.

        """
        if self.error is not None:
            raise self.error
