"""The one small interface through which the front door talks to a gateway.

Nothing in it assumes that the gateway lives in the same process.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..inference.messages import FunctionTool, Message, Reply, ToolCall
from ..policy.capability import CapabilitySet
from ..subagents.outcome import ToolOutcome
from .schemas import AgentSpec


@dataclass(frozen=True, slots=True)
class ApprovalQuestion:
    """One exact act that a person is asked about. An answer is good for this act alone."""

    session: str
    call: str
    tool: str
    arguments: str
    """The arguments in canonical form, whole."""
    takes: CapabilitySet
    """Capabilities the domain would take by it."""
    withdrawn: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when nobody waits for the answer any more: the run was cancelled meanwhile."""


Approve = Callable[[ApprovalQuestion], bool]
"""Asks a person. Without one, what needs approval is denied."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """What a session's domain holds, for showing."""

    held: CapabilitySet
    grants: CapabilitySet | None


class Session(Protocol):
    """One running agent."""

    @property
    def id(self) -> str:
        """The session's id in the ledger."""
        ...

    @property
    def domain(self) -> str:
        """The domain it belongs to."""
        ...

    @property
    def tools(self) -> Sequence[FunctionTool]:
        """The tools that fit the grants, in a stable order."""
        ...

    @property
    def layer(self) -> str | None:
        """The layer that holds this session's changes, if it has one."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know before anything runs, one line each."""
        ...

    def state(self) -> SessionState:
        """What the domain holds now."""
        ...

    async def call_model(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Call the session's model.

        Raises:
            Denied: the context may not go to that model.
            ModelError: the model failed.
            Cancelled: somebody else ended the session.
        """
        ...

    async def call_tool(self, call: ToolCall) -> ToolOutcome:
        """Decide one call, run it if it is allowed, record it.

        A refusal or a failing tool is an outcome whose text explains it, not an exception.

        Raises:
            LedgerError: the call cannot be recorded; nothing more may run.
            Cancelled: somebody else ended the session.
        """
        ...

    async def close(self, stop: str) -> None:
        """End the session and give back everything it holds. Closing twice is fine."""
        ...


class Gateway(Protocol):
    """Something that opens sessions."""

    async def open(
        self,
        spec: AgentSpec,
        *,
        brings: CapabilitySet = frozenset(),
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
    ) -> Session:
        """Start a session for an agent.

        ``brings`` are the labels of results that its task was made from; ``new_domain`` asks for a
        domain of its own, which is recorded; ``layer`` continues an earlier session's changes.

        Raises:
            SpecError, Denied, WorkspaceError, SandboxError, LedgerError: it cannot start; nothing
                is left behind.
        """
        ...

    async def close(self) -> None:
        """End every session and destroy every sandbox."""
        ...

    def abandon(self) -> None:
        """End at interpreter exit: whatever is left is cleaned up by others."""
        ...
