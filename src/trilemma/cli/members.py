"""The sub-agents that are at work, as a tree, for views that show it to people."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from trilemma.policy.capability import NONE, CapabilitySet
from trilemma.subagents.events import (
    Finished,
    HeldChanged,
    SessionOpened,
    StepStarted,
    SubagentEvent,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)


@dataclass(slots=True)
class Member:
    """One sub-agent that is at work."""

    agent: str
    session: str
    parent: str
    depth: int
    domain: str = ""
    grants: CapabilitySet | None = NONE
    held: CapabilitySet = NONE
    step: int = 0
    running: dict[str, ToolCalled] = field(default_factory=dict)


class Members:
    """Everybody at work below the agent that was run."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def __len__(self) -> int:
        return len(self._members)

    def note(self, event: SubagentEvent) -> None:
        """Take in one event. Outcomes of calls are taken in by :meth:`called`."""
        member = self._member(event)
        match event.event:
            case SessionOpened(domain=domain, grants=grants, held=held):
                member.domain, member.grants, member.held = domain, grants, held
            case StepStarted(step=step):
                member.step = step
            case ToolCalled() as call:
                member.running[call.id] = call
            case HeldChanged(held=held):
                member.held |= held
            case Finished():
                self._members.pop(event.session, None)
            case _:
                pass

    def called(self, event: SubagentEvent, ended: ToolReturned | ToolDenied) -> ToolCalled:
        """The call that an outcome belongs to, which is over now."""
        call = self._member(event).running.pop(ended.id, None)
        return call or ToolCalled(ended.id, ended.name, "")

    def in_order(self, parent: str) -> Iterator[Member]:
        """Those that ``parent`` called, each followed by those it called itself."""
        for member in list(self._members.values()):
            if member.parent == parent:
                yield member
                yield from self.in_order(member.session)

    def _member(self, event: SubagentEvent) -> Member:
        known = self._members.get(event.session)
        if known is None:
            known = Member(event.agent, event.session, event.parent, event.depth)
            self._members[event.session] = known
        return known
