"""One running agent in this process."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from ..inference.messages import FunctionTool, Message, Reply, ToolCall
from ..policy.capability import CapabilitySet
from ..subagents.outcome import ToolOutcome
from ..subagents.progress import Progress
from .callqueue import CallQueue
from .calls import Calls, call_id
from .delegation.delegations import Delegations
from .delegation.standing import Standing
from .dispatch import KILL_AGAIN, Dispatch
from .enforcement import Enforcement
from .inputs import take_labels
from .interface import ChildOutcome, Delegation, OnEvent, SessionState
from .lasting import in_thread, to_its_end
from .ledger.events import Event, Kind
from .models import ModelCalls
from .runs.log import NOT_KEPT, Keeping
from .runs.starting import RunStart
from .stopping import Stopping
from .warmup import warm_up

_CALLS_AT_ONCE = 16
"""Further calls of a session wait until one of them has ended."""


class LocalSession:
    """A session of a :class:`~trilemma.gateway.local.LocalGateway`."""

    def __init__(
        self,
        standing: Standing,
        enforcement: Enforcement,
        calls: Calls,
        models: ModelCalls,
        dispatch: Dispatch,
        stay: Callable[[], None],
        delegations: Delegations,
        workers: ThreadPoolExecutor,
        release: Callable[["LocalSession"], None],
        keeping: Keeping = NOT_KEPT,
        run: RunStart | None = None,
    ) -> None:
        self.standing = standing
        """What its sub-agents are made from."""
        self.spec = standing.spec
        self.actor = standing.actor
        self.purse = standing.position.purse
        self.tools = standing.prefix.tools
        self.workspace = standing.workspace
        self.stopping = Stopping()
        """Somebody else may ask this session to end."""
        self._enforcement = enforcement
        self._calls = calls
        self._models = models
        self._dispatch = dispatch
        self._stay = stay
        """From then on nothing is given back any more because of idling."""
        self._delegations = delegations
        self._queue: CallQueue[ToolOutcome] = CallQueue(workers, _CALLS_AT_ONCE)
        self._release = release
        self._keeping = keeping
        self._run = run
        self._closed = False
        self._ending = threading.Lock()

    @property
    def id(self) -> str:
        """The session's id in the ledger."""
        return self.actor.session

    @property
    def domain(self) -> str:
        """The domain it belongs to."""
        return self.actor.domain

    @property
    def layer(self) -> str | None:
        """The layer that holds this session's changes, if it has one."""
        layer = self.workspace.layer if self.workspace else None
        return layer.id if layer else None

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know before anything runs, one line each."""
        return () if self.workspace is None else self.workspace.notes

    @property
    def run(self) -> str | None:
        """The run that outlives this session, where its steps are kept."""
        return self._run.run if self._run else None

    @property
    def progress(self) -> Progress | None:
        """Where the run goes on; None where it begins."""
        return self._run.progress if self._run else None

    def state(self) -> SessionState:
        """What the domain holds now."""
        held = self._enforcement.ledger.held(self.domain)
        purse = self.purse
        return SessionState(held.capabilities, self.actor.grants, purse.spent, purse.remaining())

    async def take(self, labels: CapabilitySet) -> None:
        """Join labels into the domain; see :class:`~trilemma.gateway.interface.Session`."""
        with self.stopping.acting():
            await to_its_end(in_thread(take_labels, self._enforcement, self.actor, labels))

    async def call_model(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Call the session's model; see :class:`~trilemma.gateway.interface.Session`."""
        with self.stopping.acting():
            return await self._models.call(messages, tools, on_text, self.purse, self._keeping)

    async def call_tool(self, call: ToolCall) -> ToolOutcome:
        """Decide, run and record one call; see :class:`~trilemma.gateway.interface.Session`."""
        with self.stopping.acting():
            self.purse.check_time()
            return await self._call_tool(call)

    async def _call_tool(self, call: ToolCall) -> ToolOutcome:
        name = self._keeping.name(call) or call_id()
        if call.name in self._delegations:
            return await self._delegations.call(call, name)
        running = asyncio.wrap_future(self._queue.submit(partial(self._calls.call, call, name)))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # The thread goes on until the killed call is recorded; only then may the session end.
            self._calls.withdraw(name)
            await to_its_end(asyncio.ensure_future(self._kill(name, running)))
            raise

    async def delegate(self, order: Delegation, *, on_event: OnEvent | None = None) -> ChildOutcome:
        """Hand a task on; see :class:`~trilemma.gateway.interface.Session`."""
        with self.stopping.acting():
            return await self._delegations.delegate(order, on_event)

    async def warm_up(self, orders: Sequence[Delegation]) -> None:
        """Read what they share; see :class:`~trilemma.gateway.interface.Session`."""
        with self.stopping.acting():
            prefix, siblings = self._delegations.shared(orders)
            await warm_up(self._models, prefix, siblings, self.purse)

    async def race(
        self, orders: Sequence[Delegation], *, on_event: OnEvent | None = None
    ) -> ChildOutcome:
        """Hand out tasks; see :class:`~trilemma.gateway.interface.Session`."""
        await self.warm_up(orders)
        with self.stopping.acting():
            return await self._delegations.race(orders, on_event)

    async def _kill(self, name: str, running: "asyncio.Future[ToolOutcome]") -> None:
        while not running.done():
            # Not by the workers: those may all be busy with calls that are to be killed.
            await in_thread(self._dispatch.cancel, name)
            await asyncio.wait([running], timeout=KILL_AGAIN)

    async def close(self, stop: str) -> None:
        """End the session; see :class:`~trilemma.gateway.interface.Session`."""
        await to_its_end(in_thread(self.end, stop))

    def end(self, stop: str) -> None:
        """End the session and give back what it holds. Blocking; twice is fine."""
        # Held to the end: whoever comes second may rely on its being gone.
        with self._ending:
            if self._closed:
                return
            self._closed = True
            self.purse.close()
            with ExitStack() as ending:
                ending.callback(self._keeping.close, stop)
                ending.callback(self._give_back, stop)
                ending.callback(self._dispatch.close)
                ending.callback(self._stay)
                ending.callback(self._calls.close)
                self._delegations.close()

    def _give_back(self, stop: str) -> None:
        try:
            self._release(self)
        finally:
            self._enforcement.record(
                self.actor,
                Event(kind=Kind.SESSION_CLOSED, what="session", body={"reason": stop}),
            )
