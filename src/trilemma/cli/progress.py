"""The state of a run as its events tell it, for views that show it to people."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from trilemma.cli.members import Members
from trilemma.inference.messages import Usage
from trilemma.policy.capability import NONE, CapabilitySet
from trilemma.subagents.events import (
    Event,
    HeldChanged,
    SessionOpened,
    StepFinished,
    StepStarted,
    SubagentEvent,
    TextDelta,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)

_TAIL = 2000


@dataclass(slots=True)
class Progress:
    """What is known of a run so far."""

    agent: str
    model: str
    clock: Callable[[], float] = time.monotonic
    session: str = ""
    domain: str = ""
    grants: CapabilitySet | None = NONE
    held: CapabilitySet = NONE
    step: int = 0
    finished: int = 0
    usage: Usage = field(default_factory=Usage)
    running: dict[str, ToolCalled] = field(default_factory=dict)
    members: Members = field(default_factory=Members)
    """The sub-agents at work."""
    text: str = ""
    """The end of what the model says now."""
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return self.clock() - self.started

    @property
    def tokens(self) -> int:
        """Tokens in both directions."""
        return self.usage.input_tokens + self.usage.output_tokens

    def called(self, event: ToolReturned | ToolDenied) -> ToolCalled:
        """The call that an outcome belongs to, which is over now."""
        return self.running.pop(event.id, None) or ToolCalled(event.id, event.name, "")

    def note(self, event: Event) -> None:
        """Take in one event. Outcomes of calls are taken in by :meth:`called`."""
        match event:
            case SessionOpened():
                self.session, self.grants = event.session, event.grants
                self.domain = event.domain
                self.held |= event.held
            case StepStarted():
                self.step, self.text = event.step, ""
            case TextDelta():
                self.text = (self.text + event.text)[-_TAIL:]
            case StepFinished():
                self.finished, self.usage = event.step, event.usage
            case ToolCalled():
                self.running[event.id] = event
            case HeldChanged():
                self.held |= event.held
            case SubagentEvent():
                self.members.note(event)
            case _:
                pass
