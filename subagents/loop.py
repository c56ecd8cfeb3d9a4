"""The run loop: ask the model, run what it asks for, until it asks for nothing more.

The loop decides nothing and can reach nothing: the model and the tools are two functions that it is
given, and both lead through the gateway.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trilemma.errors import Cancelled, LimitReached, TrilemmaError

from ..inference.messages import FunctionTool, Message, Reply
from .calls import CallTool, ToolRunner
from .events import Event, Finished, StepFinished, StepStarted, TextDelta
from .history import History
from .limits import Spent
from .outcome import Outcome, State
from .progress import Progress
from .prompt import Layout


class CallModel(Protocol):
    """Asks the model, through the gateway."""

    async def __call__(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        on_text: Callable[[str], None],
        /,
    ) -> Reply:
        """Answer the conversation.

        Raises:
            Denied: the gateway refused; the run ends.
            LimitReached: the budget is used up; the run ends.
            ModelError: the model cannot be reached; the run ends.

        """
        ...


Emit = Callable[[Event], None]


async def run(
    task: str | Progress,
    *,
    layout: Layout,
    call_model: CallModel,
    call_tool: CallTool,
    seconds: float | None,
    emit: Emit,
    context_tokens: int | None = None,
) -> Outcome:
    """Work on a task to its end, or go on where an earlier process left off.

    However the run ends, that is an outcome and ``Finished`` is the last event. Cancelling the
    surrounding task cancels the calls that are running and gives an outcome as well, so that the
    caller can close its session first; who needs the exception calls ``raise_for_state``. An
    error that is not Trilemma's own is a bug: it is raised.

    Budgets are kept by whoever gives ``call_model``: it raises ``LimitReached``. Only time is
    watched here, ``seconds`` of it, since it ends a call in the middle. What the model is sent
    stays within ``context_tokens``: older steps are folded.
    """
    started = time.monotonic()
    begun = task if isinstance(task, Progress) else Progress(layout.opening(task))
    current = _Run(begun, layout.tools, call_model, call_tool, seconds, context_tokens, emit)
    state, error = await _to_the_end(current)
    outcome = Outcome(
        state,
        current.history.last_text,
        current.history.messages,
        current.spent.steps,
        current.spent.usage,
        begun.seconds + time.monotonic() - started,
        error,
    )
    emit(_finished(outcome))
    return outcome


async def _to_the_end(current: "_Run") -> tuple[State, TrilemmaError | None]:
    try:
        await current.until_done()
    except LimitReached as limit:
        return State.LIMIT, limit
    except TrilemmaError as error:
        return State.FAILED, error
    except asyncio.CancelledError:
        return State.CANCELLED, Cancelled("the run was cancelled")
    return State.DONE, None


def _finished(outcome: Outcome) -> Finished:
    return Finished(
        outcome.state,
        outcome.text,
        outcome.steps,
        outcome.usage,
        outcome.seconds,
        "" if outcome.error is None else str(outcome.error),
    )


@dataclass(slots=True)
class _Run:
    """One run while it lasts."""

    begun: Progress
    tools: Sequence[FunctionTool]
    call_model: CallModel
    call_tool: CallTool
    seconds: float | None
    context_tokens: int | None
    emit: Emit
    history: History = field(init=False)
    spent: Spent = field(init=False)

    def __post_init__(self) -> None:
        self.history, self.spent = History(self.begun.messages), self.begun.spent

    async def until_done(self) -> None:
        """Step until a reply asks for no tool.

        Raises:
            LimitReached: instead of a step, or in the middle of one when the time is over.

        """
        runner = ToolRunner(self.call_tool, self.emit)
        clock = asyncio.timeout(self.seconds)
        try:
            async with clock:
                going_on = await self.finish(runner)
                while going_on:
                    going_on = await self.step(runner)
        except TimeoutError:
            if clock.expired():
                text = "the time that the run had is used up"
                raise LimitReached("seconds", text) from None
            raise

    async def finish(self, runner: ToolRunner) -> bool:
        """Finish the step that an earlier process left open; False where it was the last one."""
        last, answers = self.history.messages[-1], self.begun.answers
        if last.role != "assistant":
            return True
        open_calls = [c for c, text in zip(last.tool_calls, answers, strict=True) if text is None]
        made = iter(await runner.execute(open_calls))
        for call, text in zip(last.tool_calls, answers, strict=True):
            self.history.add_result(call, next(made).text if text is None else text)
        return bool(last.tool_calls)

    async def step(self, runner: ToolRunner) -> bool:
        """Query the model, execute what it wants; False when it wants nothing."""
        calls = (await self.query()).tool_calls
        results = await runner.execute(calls)
        for call, result in zip(calls, results, strict=True):
            self.history.add_result(call, result.text)
        final = next((result.text for result in results if result.final), None)
        if final is not None:
            self.history.add_reply(Reply(final))
        return bool(calls) and final is None

    async def query(self) -> Reply:
        """Ask the model and keep what it says."""
        step, streamed = self.spent.steps + 1, False

        def on_text(text: str) -> None:
            nonlocal streamed
            streamed = True
            self.emit(TextDelta(text))

        self.history.keep_within(self.context_tokens)
        self.emit(StepStarted(step))
        reply = await self.call_model(self.history.messages, self.tools, on_text)
        if reply.content and not streamed:
            self.emit(TextDelta(reply.content))
        self.history.add_reply(reply)
        self.spent = self.spent.after_step(reply.usage)
        self.emit(StepFinished(step, self.spent.usage))
        return reply
