"""What happens during a run, as values: for a live view, for JSON lines, for a stream over HTTP."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar

from ..inference.messages import Usage
from ..policy.capability import NONE, CapabilitySet, ordered
from .outcome import State


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. ``kind`` is the name in JSON."""

    kind: ClassVar[str] = "event"

    def as_json(self) -> dict[str, Any]:
        """The event as JSON values: ``{"event": "tool_called", ...}``."""
        return {"event": self.kind} | {
            part.name: _as_json(getattr(self, part.name)) for part in fields(self)
        }


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """The first event of a run that goes through a gateway: it was admitted."""

    kind: ClassVar[str] = "session_opened"
    session: str
    domain: str
    grants: CapabilitySet | None
    """None where the first two that are taken latch."""
    held: CapabilitySet
    layer: str | None
    notes: tuple[str, ...]
    """What a person should know before anything runs, one line each."""
    run: str | None = None
    """What ``trilemma resume`` takes, where the run's steps are kept."""


@dataclass(frozen=True, slots=True)
class StepStarted(Event):
    """The model is asked for the ``step``-th time, counted from 1."""

    kind: ClassVar[str] = "step_started"
    step: int


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """A piece of the model's text, as it comes."""

    kind: ClassVar[str] = "text_delta"
    text: str


@dataclass(frozen=True, slots=True)
class StepFinished(Event):
    """The model answered. ``usage`` is the whole run's so far."""

    kind: ClassVar[str] = "step_finished"
    step: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class ToolCalled(Event):
    """The model wants a tool called. Nothing has been decided yet."""

    kind: ClassVar[str] = "tool_called"
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolReturned(Event):
    """A call ran, or could not be understood. ``ok`` is False where it ended in an error."""

    kind: ClassVar[str] = "tool_returned"
    id: str
    name: str
    ok: bool
    text: str
    call_id: str
    labels: CapabilitySet = NONE
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ToolDenied(Event):
    """The gateway refused a call. ``text`` is the explanation that the model gets."""

    kind: ClassVar[str] = "tool_denied"
    id: str
    name: str
    text: str
    reasons: tuple[str, ...]
    call_id: str


@dataclass(frozen=True, slots=True)
class HeldChanged(Event):
    """The domain holds more than before. It never holds less."""

    kind: ClassVar[str] = "held_changed"
    held: CapabilitySet


@dataclass(frozen=True, slots=True)
class SubagentEvent(Event):
    """Something happened in a sub-agent, or in one of its own. For people who watch."""

    kind: ClassVar[str] = "subagent"
    agent: str
    session: str
    parent: str
    """The session that called it."""
    depth: int
    """1 for the root's own sub-agents."""
    event: Event


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The last event of every run."""

    kind: ClassVar[str] = "finished"
    state: State
    text: str
    steps: int
    usage: Usage
    seconds: float
    error: str = ""


def _as_json(value: Any) -> Any:
    if isinstance(value, frozenset):
        return [str(capability) for capability in ordered(value)]
    if isinstance(value, Event):
        return value.as_json()
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Usage):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return str(value) if isinstance(value, State) else value
