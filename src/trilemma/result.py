"""What a run gives: an answer with the labels of everything it may contain."""

from dataclasses import dataclass

from trilemma.inference.messages import Usage
from trilemma.policy.capability import CapabilitySet, show


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that the gateway refused, and its explanation."""

    call: str
    tool: str
    reasons: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one run. Hand it to another agent as it is, and its labels go along.

    Taking ``text`` out by hand drops the labels: from there on the data is in your care.
    """

    text: str
    """The agent's answer; what there was of it if the run stopped early."""
    stop: str
    """``done``, or the limit that stopped it: ``steps``, ``tokens``, ``usd``, ``seconds``."""
    labels: CapabilitySet
    """Everything that the run's domain held: what the text may carry."""
    session: str
    domain: str
    steps: int
    usage: Usage
    denials: tuple[Denial, ...] = ()
    layer: str | None = None
    """The layer that holds the changes, for ``trilemma workspace diff``."""

    @property
    def ok(self) -> bool:
        """True where the agent came to its own end."""
        return self.stop == "done"

    def __str__(self) -> str:
        # Not the text: a result that is pasted into a prompt must not lose its labels unnoticed.
        return f"<Result {self.stop} {show(self.labels)} {self.session}: read .text>"
