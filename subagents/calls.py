"""The tool calls of one reply: side by side, answered in order, whatever becomes of each."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from trilemma.errors import Denied, SpecError

from ..inference.arguments import parse_arguments
from ..inference.messages import ToolCall
from ..policy.capability import NONE, CapabilitySet
from .events import Event, HeldChanged, ToolCalled, ToolDenied, ToolReturned
from .outcome import ToolOutcome

AT_ONCE = 8
"""So many calls of one reply run at the same time; the others wait for their turn."""

PER_REPLY = 64
"""Calls beyond these in one reply are not run; the model is told so."""


class CallTool(Protocol):
    """Calls a tool, through the gateway, which also decides on tools that were not offered."""

    async def __call__(self, call: ToolCall, /) -> ToolOutcome:
        """Run one call. Cancelling it kills the call.

        Raises:
            Denied: the gateway refused; the model reads the explanation.
            SpecError: the call makes no sense (unknown tool, arguments that do not fit); the
                model reads why.
            TrilemmaError: anything else ends the run.

        """
        ...


class ToolRunner:
    """Runs what a model asks for and tells the run's listener about it."""

    def __init__(self, call_tool: CallTool, emit: Callable[[Event], None]) -> None:
        self._call_tool = call_tool
        self._emit = emit
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._held: CapabilitySet = NONE

    async def execute(self, calls: Sequence[ToolCall]) -> list[ToolOutcome]:
        """The outcome of every call, in the order of the calls.

        The first error that ends the run cancels the calls beside it; none outlives this method.
        """
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._run(call)) for call in calls[:PER_REPLY]]
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks] + [self._leave(c) for c in calls[PER_REPLY:]]

    async def _run(self, call: ToolCall) -> ToolOutcome:
        self._emit(ToolCalled(call.id, call.name, call.arguments))
        async with self._turn:
            started = time.monotonic()
            outcome = await self._attempt(call)
        self._report(call, outcome, time.monotonic() - started)
        return outcome

    async def _attempt(self, call: ToolCall) -> ToolOutcome:
        try:
            parse_arguments(call)
            return await self._call_tool(call)
        except Denied as denial:
            return ToolOutcome(
                str(denial), ok=False, denied=True, reasons=denial.reasons, call_id=denial.call
            )
        except SpecError as error:
            return ToolOutcome(f"The call was not made: {error}", ok=False)

    def _leave(self, call: ToolCall) -> ToolOutcome:
        """A call that is one too many."""
        self._emit(ToolCalled(call.id, call.name, call.arguments))
        outcome = ToolOutcome(
            f"The call was not made: a reply may hold {PER_REPLY} calls; ask for it again.",
            ok=False,
        )
        self._report(call, outcome, 0.0)
        return outcome

    def _report(self, call: ToolCall, outcome: ToolOutcome, seconds: float) -> None:
        if outcome.denied:
            self._emit(
                ToolDenied(call.id, call.name, outcome.text, outcome.reasons, outcome.call_id)
            )
        else:
            self._emit(
                ToolReturned(
                    call.id,
                    call.name,
                    outcome.ok,
                    outcome.text,
                    outcome.call_id,
                    outcome.labels,
                    seconds,
                )
            )
        # Calls that ran side by side may report in any order, but a domain only ever gains.
        if outcome.held is not None and not outcome.held <= self._held:
            self._held |= outcome.held
            self._emit(HeldChanged(self._held))
