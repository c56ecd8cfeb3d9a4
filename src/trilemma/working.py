"""One run of an agent in a session that is open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from trilemma.errors import Cancelled, LimitReached
from trilemma.gateway.interface import Session
from trilemma.inference.messages import Usage
from trilemma.result import Denial, Result
from trilemma.subagents.events import Event, ToolDenied
from trilemma.subagents.loop import run
from trilemma.subagents.outcome import Outcome, State
from trilemma.subagents.progress import Progress
from trilemma.subagents.prompt import Layout, SharedPrefix


@dataclass(frozen=True, slots=True)
class Worked:
    """A run that ended, however it ended."""

    outcome: Outcome
    stop: str
    """What ended it, in one word."""
    _result: Result

    def result(self) -> Result:
        """Its result.

        Raises:
            TrilemmaError: it ended in an error.
            asyncio.CancelledError: it was cancelled; the loop made an outcome of that.
        """
        if self.outcome.state is State.CANCELLED:
            raise asyncio.CancelledError
        if self.outcome.state is State.FAILED:
            self.outcome.raise_for_state()
        return self._result


async def work(session: Session, task: str | Progress, on_event: Callable[[Event], None]) -> Worked:
    """Run the loop to its end. The session stays open."""
    denials: list[Denial] = []

    def emit(event: Event) -> None:
        if isinstance(event, ToolDenied):
            denials.append(Denial(event.call_id, event.name, event.reasons, event.text))
        on_event(event)

    before = session.state()
    outcome = await run(
        task,
        layout=Layout(SharedPrefix(session.spec.instructions, session.tools)),
        call_model=session.call_model,
        call_tool=session.call_tool,
        seconds=before.remaining.seconds,
        context_tokens=session.spec.limits.context_tokens,
        emit=emit,
    )
    stop = _stop(outcome)
    # Of the agent and its sub-agents, and by the earlier parts of a run that goes on.
    used = session.state().spent.usage.since(before.spent.usage)
    if isinstance(task, Progress):
        used += task.spent.usage
    return Worked(outcome, stop, _result(session, outcome, stop, used, tuple(denials)))


def _stop(outcome: Outcome) -> str:
    """What ended the run, in one word: its state, or the name of the limit."""
    if outcome.state is State.FAILED and isinstance(outcome.error, Cancelled):
        return "stopped"
    if isinstance(outcome.error, LimitReached):
        return outcome.error.limit
    return str(outcome.state)


def _result(
    session: Session, outcome: Outcome, stop: str, used: Usage, denials: tuple[Denial, ...]
) -> Result:
    return Result(
        text=outcome.text,
        stop=stop,
        labels=session.state().held,
        session=session.id,
        domain=session.domain,
        steps=outcome.steps,
        usage=used,
        denials=denials,
        layer=session.layer,
        run=session.run,
    )
