"""The one small interface through which the front door talks to a gateway.

Nothing in it assumes that the gateway lives in the same process.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..inference.messages import FunctionTool, Message, Reply, ToolCall, Usage
from ..policy.capability import NONE, CapabilitySet
from ..subagents.budget import Remaining
from ..subagents.events import Event
from ..subagents.limits import Spent
from ..subagents.outcome import ToolOutcome
from ..subagents.progress import Progress
from .schemas import AgentSpec
from .teamspec import ChildSpec


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
    """What a session's domain holds, and what is used of its budget and left."""

    held: CapabilitySet
    grants: CapabilitySet | None
    spent: Spent
    """By it and by its sub-agents."""
    remaining: Remaining


@dataclass(frozen=True, slots=True)
class Delegation:
    """A task that is handed to a sub-agent."""

    agent: str | ChildSpec
    """The name of one that stands in the agent's spec, or another that fits what it may hand on."""
    task: Any
    """Text; for a mediated sub-agent a value of the type that it ``asks`` for."""
    context: str = ""
    """What all sub-agents of one fan-out need to know: it stands first, so that it is read once."""
    brings: CapabilitySet = NONE
    """The labels of results of other domains that the task was made from."""


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """What became of a task that was handed on."""

    agent: str
    ok: bool
    stop: str
    """How it ended: ``done``, a limit, ``failed``, ``cancelled``; for a mediated sub-agent that
    gave no answer one of ``no_answer``, ``limit``, ``refused``."""
    text: str
    """The answer as its parent's model reads it."""
    value: Any
    """The answer: a value of the declared type, or the text."""
    labels: CapabilitySet
    """What it carries: what its parent's domain holds by now."""
    usage: Usage
    """What it used, and its own sub-agents. For people and budgets; no model reads it."""
    session: str
    """Its session in the ledger; empty where it was refused before it had one."""
    call: str
    """The delegation in the ledger: what ``trilemma why`` takes."""


OnEvent = Callable[[Event], None]
"""Told what happens, for people who watch; what happens in a sub-agent as ``SubagentEvent``."""


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

    @property
    def run(self) -> str | None:
        """The run that outlives this session, where its steps are kept."""
        ...

    @property
    def progress(self) -> Progress | None:
        """Where the run goes on; None where it begins."""
        ...

    @property
    def spec(self) -> AgentSpec:
        """The agent that it runs."""
        ...

    def state(self) -> SessionState:
        """What the domain holds now."""
        ...

    async def take(self, labels: CapabilitySet) -> None:
        """Join the labels of what the caller is about to say into the domain.

        Raises:
            Denied: together with what the domain holds they would be three.
            LedgerError: it cannot be recorded.
        """
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

    async def delegate(self, order: Delegation, *, on_event: OnEvent | None = None) -> ChildOutcome:
        """Hand a task to a sub-agent and wait for its answer. It never outlives this session.

        However the sub-agent ends, that is an outcome.

        Raises:
            Denied: the delegation was refused; nothing ran. The text explains it.
            SpecError: there is no such sub-agent, or the task is none that it may be asked.
            LedgerError: it cannot be recorded; nothing more may run.
            Cancelled: somebody else ended the session.
        """
        ...

    async def warm_up(self, orders: Sequence[Delegation]) -> None:
        """Before so many tasks are handed out at once: have the model read what all of them share.

        Done where that pays; that it did not work is no error. Raises as :meth:`call_tool`.
        """
        ...

    async def race(
        self, orders: Sequence[Delegation], *, on_event: OnEvent | None = None
    ) -> ChildOutcome:
        """Hand out tasks side by side; the first that ends well, and the others are cancelled.

        Where none does, it is the last one's failure. Raises as :meth:`delegate`.
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
        on_event: OnEvent | None = None,
        lasting: bool = False,
    ) -> Session:
        """Start a session for an agent.

        ``brings`` are the labels of results that its task was made from; ``new_domain`` asks for a
        domain of its own, which is recorded; ``layer`` continues an earlier session's changes;
        ``on_event`` is told what happens in sub-agents that its model calls. A ``lasting`` one
        is a run whose steps are kept, so that :meth:`resume` can go on with it.

        Raises:
            SpecError, Denied, WorkspaceError, SandboxError, LedgerError: it cannot start; nothing
                is left behind.
        """
        ...

    async def resume(
        self,
        run: str,
        *,
        spec: AgentSpec | None = None,
        approve: Approve | None = None,
        on_event: OnEvent | None = None,
    ) -> Session:
        """Go on with a run where it was left, in its domain and with its layer, as a new session.

        ``spec`` must be the agent that the run began with; None takes it from the run.

        Raises:
            SpecError: there is no such run, it has ended, it runs, or its agent has changed.
            LedgerTampered: what was kept of it is not what the ledger vouches for.
            Denied, WorkspaceError, SandboxError, LedgerError: it cannot start now.
        """
        ...

    async def close(self) -> None:
        """End every session and destroy every sandbox."""
        ...

    def abandon(self) -> None:
        """End at interpreter exit: whatever is left is cleaned up by others."""
        ...
