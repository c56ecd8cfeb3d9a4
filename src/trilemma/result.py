"""What a run gives: an answer with the labels of everything it may contain."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from trilemma.errors import SpecError
from trilemma.inference.messages import Usage
from trilemma.placeholder import Remembered, fresh
from trilemma.policy.capability import CapabilitySet, show


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that the gateway refused, and its explanation."""

    call: str
    tool: str
    reasons: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """The outcome of one run. Hand it to another agent, and its labels go along.

    ====================================================  ===================================
    in your code                                          the labels
    ====================================================  ===================================
    ``b.run(result)``                                     go along
    ``b.run([one, two])``, ``b.run({"notes": result})``   go along, of all that is in there
    ``b.run(f"Sum up: {result}")``, ``str``, ``format``,  go along: the text takes its place
    ``"a" + result``, ``"".join(map(str, results))``,     when the task is taken
    ``json.dumps(record, default=str)``
    ``result.map(function)``                              stay on what the function returns
    ``str(result)`` cut or changed, or of another         refused where it is noticed, and
    process                                               never the text
    ``result.text``, ``.value``, ``asdict``, ``==``,      **dropped**: from there on the data
    pickle, ``result.denials``, events of ``stream``,     is in your care
    the text of an exception
    a decision of yours (``if result.ok``), lengths,      **dropped**: what your code learns
    ``steps``, ``usage``, how long it took                from it, it may pass on
    ====================================================  ===================================

    Nothing can follow a text that Python code holds in its hand, so the last two rows are the
    caller's act.
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
    """By the agent and by its sub-agents."""
    denials: tuple[Denial, ...] = ()
    layer: str | None = None
    """The layer that holds the changes, for ``trilemma workspace diff``."""
    run: str | None = None
    """The run, for ``trilemma runs``."""
    agent: str = ""
    """The sub-agent that answered; empty for the agent itself."""
    value: Any = None
    """A sub-agent's answer: for a mediated one a value of the type that it answers with."""
    _placeholder: str = field(default_factory=fresh, init=False, compare=False)

    @property
    def ok(self) -> bool:
        """True where the agent came to its own end."""
        return self.stop == "done"

    def map(self, function: Callable[[str], str]) -> "Result":
        """The same outcome with another text, which ``function`` makes of this one.

        The labels stay. What else the function looks at is its author's care.

        Raises:
            SpecError: the function gave no text.
        """
        text = function(self.text)
        if not isinstance(text, str):
            raise SpecError(f"the function given to map must return text, not {text!r}")
        return replace(self, text=text)

    def __str__(self) -> str:
        # Not the text: a result that is pasted into a prompt must not lose its labels unnoticed.
        REMEMBERED.keep(self._placeholder, self)
        return self._placeholder

    def __format__(self, spec: str) -> str:
        # Padding and cutting would be of the placeholder.
        return str(self)

    def __repr__(self) -> str:
        return f"Result({self}, stop={self.stop!r}, labels={show(self.labels)}; read .text)"

    def __add__(self, other: object) -> str:
        return f"{self}{other}" if isinstance(other, str | Result) else NotImplemented

    def __radd__(self, other: object) -> str:
        return f"{other}{self}" if isinstance(other, str) else NotImplemented


REMEMBERED: Remembered[Result] = Remembered()
"""The results of this process whose placeholders mean something."""
