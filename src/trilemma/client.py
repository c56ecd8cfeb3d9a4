"""A client: one principal acting through one gateway. Its runs share one domain by default."""

import asyncio
import atexit
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from trilemma.errors import Cancelled, LimitReached
from trilemma.gateway.interface import Approve, Gateway, Session
from trilemma.gateway.schemas import AgentSpec
from trilemma.result import Denial, Result
from trilemma.subagents.events import Event, SessionOpened, ToolDenied
from trilemma.subagents.loop import run
from trilemma.subagents.outcome import Outcome, State
from trilemma.subagents.progress import Progress
from trilemma.subagents.prompt import Layout, SharedPrefix
from trilemma.task import Task, refuse_placeholders, render

if TYPE_CHECKING:
    from trilemma.gateway.settings import Settings


class Client:
    """Runs agents through a gateway.

    ``Client.local()`` keeps the gateway in this process.
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    @classmethod
    def local(cls, settings: "Settings | None" = None) -> "Client":
        """A client with a gateway of its own in this process."""
        from trilemma.gateway.local import LocalGateway

        return cls(LocalGateway.start(settings))

    async def run(
        self,
        spec: AgentSpec,
        task: Task,
        *,
        new_domain: bool = False,
        layer: str | None = None,
        approve: Approve | None = None,
        on_event: Callable[[Event], None],
    ) -> Result:
        """Open a session, run the loop in it, close it whatever happens."""
        asked = render(task)
        refuse_placeholders(spec.instructions, "the agent's instructions")
        session = await self.gateway.open(
            spec,
            brings=asked.labels,
            new_domain=new_domain,
            layer=layer,
            approve=approve,
            lasting=True,
        )
        return await _to_the_end(session, asked.text, on_event)

    async def resume(
        self,
        run: str,
        *,
        spec: AgentSpec | None = None,
        approve: Approve | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> Result:
        """Go on with a run that was interrupted: from its last step, with what it has left.

        It stays in its domain, and goes on with its layer. A call that was under way is not made
        again: the model reads that nobody knows how it ended. ``trilemma runs`` lists the runs.

        Raises:
            SpecError: there is no such run, it has ended, it runs, or its agent is another than
                it was (``spec``, where given, or what its file says now).
            LedgerTampered: what was kept of it is not what the ledger vouches for.
            Denied, WorkspaceError, SandboxError, LedgerError: it cannot go on now.
        """
        session = await self.gateway.resume(run, spec=spec, approve=approve)
        assert session.progress is not None
        return await _to_the_end(session, session.progress, on_event or (lambda event: None))

    async def close(self) -> None:
        """End everything that runs through this client."""
        await self.gateway.close()


async def _to_the_end(
    session: Session, task: str | Progress, on_event: Callable[[Event], None]
) -> Result:
    """Run the loop in a session and close it, whatever happens."""
    denials: list[Denial] = []

    def emit(event: Event) -> None:
        if isinstance(event, ToolDenied):
            denials.append(Denial(event.call_id, event.name, event.reasons, event.text))
        on_event(event)

    limits = session.spec.limits
    stop = "crashed"
    try:
        emit(_opened(session))
        outcome = await run(
            task,
            layout=Layout(SharedPrefix(session.spec.instructions, session.tools)),
            call_model=session.call_model,
            call_tool=session.call_tool,
            seconds=limits.seconds,
            context_tokens=limits.context_tokens,
            emit=emit,
        )
        stop = _stop(outcome)
        result = _result(session, outcome, stop, tuple(denials))
    finally:
        await session.close(stop)
    if outcome.state is State.CANCELLED:
        # The loop turned the cancellation into an outcome so that the session could close.
        raise asyncio.CancelledError
    if outcome.state is State.FAILED:
        outcome.raise_for_state()
    return result


def _opened(session: Session) -> SessionOpened:
    state = session.state()
    return SessionOpened(
        session=session.id,
        domain=session.domain,
        grants=state.grants,
        held=state.held,
        layer=session.layer,
        notes=tuple(session.notes),
        run=session.run,
    )


def _stop(outcome: Outcome) -> str:
    """What ended the run, in one word: its state, or the name of the limit."""
    if outcome.state is State.FAILED and isinstance(outcome.error, Cancelled):
        return "stopped"
    if isinstance(outcome.error, LimitReached):
        return outcome.error.limit
    return str(outcome.state)


def _result(session: Session, outcome: Outcome, stop: str, denials: tuple[Denial, ...]) -> Result:
    return Result(
        text=outcome.text,
        stop=stop,
        labels=session.state().held,
        session=session.id,
        domain=session.domain,
        steps=outcome.steps,
        usage=outcome.usage,
        denials=denials,
        layer=session.layer,
        run=session.run,
    )


_lock = threading.Lock()
_default: list[Client] = []


def default_client() -> Client:
    """The process's own client, made at first use and closed when the process ends."""
    with _lock:
        if not _default:
            client = Client.local()
            _default.append(client)
            atexit.register(_close_default)
        return _default[0]


def _close_default() -> None:
    while _default:
        _default.pop().gateway.abandon()
