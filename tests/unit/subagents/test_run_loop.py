import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from trilemma.errors import Cancelled, Denied, LedgerError, LimitReached, ModelError, SpecError
from trilemma.inference.gullible import GullibleModel
from trilemma.inference.messages import FunctionTool, Message, Reply, ToolCall, Usage
from trilemma.policy.capability import Capability
from trilemma.subagents.budget import Purse
from trilemma.subagents.calls import AT_ONCE, PER_REPLY, CallTool
from trilemma.subagents.events import (
    Event,
    Finished,
    HeldChanged,
    StepFinished,
    StepStarted,
    TextDelta,
    ToolCalled,
    ToolDenied,
    ToolReturned,
)
from trilemma.subagents.limits import RunLimits, Spent
from trilemma.subagents.loop import CallModel, run
from trilemma.subagents.outcome import Outcome, State, ToolOutcome
from trilemma.subagents.progress import Progress
from trilemma.subagents.prompt import Layout, SharedPrefix

FIFTY_STEPS = RunLimits()
FILES, INTERNET = Capability.FILES, Capability.INTERNET


async def gullible(
    messages: Sequence[Message], tools: Sequence[FunctionTool], on_text: Callable[[str], None]
) -> Reply:
    return await GullibleModel().complete(messages, tools, on_text=on_text)


def replying(*replies: Reply | Exception) -> CallModel:
    """A model that knows its lines: what is tested is what the loop makes of them."""
    left = list(replies)

    async def call_model(
        messages: Sequence[Message], tools: Sequence[FunctionTool], on_text: Callable[[str], None]
    ) -> Reply:
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return call_model


def paid(model: CallModel, purse: Purse) -> CallModel:
    """The model, asked as a gateway asks it."""

    async def call_model(
        messages: Sequence[Message], tools: Sequence[FunctionTool], on_text: Callable[[str], None]
    ) -> Reply:
        purse.begin_step()
        reply = await model(messages, tools, on_text)
        purse.charge(reply.usage)
        return reply

    return call_model


def calling(*calls: tuple[str, str]) -> Reply:
    return Reply("", tuple(ToolCall(f"c{n}", *call) for n, call in enumerate(calls)))


async def echo(call: ToolCall) -> ToolOutcome:
    return ToolOutcome(f"{call.name} got {call.arguments}", call_id=f"ledger-{call.id}")


class Recorded:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def go(
    task: str | Progress = "go",
    *,
    model: CallModel = gullible,
    tool: CallTool = echo,
    limits: RunLimits = FIFTY_STEPS,
    record: Recorded | None = None,
    instructions: str = "",
) -> Outcome:
    return await run(
        task,
        layout=Layout(SharedPrefix(instructions)),
        call_model=paid(model, Purse(limits)),
        call_tool=tool,
        seconds=limits.seconds,
        emit=(record or Recorded()).events.append,
    )


def test_it_steps_until_a_reply_asks_for_nothing() -> None:
    record = Recorded()
    outcome = asyncio.run(go("CALL a {}\nCALL b {}", record=record, instructions="Be good."))
    assert outcome.state is State.DONE
    assert outcome.steps == 3
    assert outcome.text.startswith("I made 2 calls")
    assert [message.role for message in outcome.messages] == [
        *("system", "user", "assistant", "tool", "assistant", "tool", "assistant")
    ]
    assert [type(event) for event in record.events] == [
        *(StepStarted, StepFinished, ToolCalled, ToolReturned) * 2,
        *(StepStarted, TextDelta, StepFinished, Finished),
    ]
    assert record.of(Finished)[0].text == outcome.text
    outcome.raise_for_state()


def test_every_event_is_json() -> None:
    record = Recorded()

    async def tool(call: ToolCall) -> ToolOutcome:
        return ToolOutcome("x", labels=frozenset({FILES}), held=frozenset({FILES, INTERNET}))

    asyncio.run(go("CALL a {}", tool=tool, record=record))
    lines = [json.loads(json.dumps(event.as_json())) for event in record.events]
    assert [line["event"] for line in lines][:5] == [
        *("step_started", "step_finished", "tool_called", "tool_returned", "held_changed")
    ]
    assert lines[3]["labels"] == ["files"]
    assert lines[4] == {"event": "held_changed", "held": ["files", "internet"]}
    assert lines[-1]["state"] == "done"


def test_calls_of_one_reply_run_side_by_side_and_are_answered_in_order() -> None:
    everybody = asyncio.Barrier(3)

    async def tool(call: ToolCall) -> ToolOutcome:
        await everybody.wait()
        if call.name == "a":
            await asyncio.sleep(0)
        return ToolOutcome(call.name)

    model = replying(calling(("a", "{}"), ("b", "{}"), ("c", "{}")), Reply("done"))
    outcome = asyncio.run(go(model=model, tool=tool))
    assert [(m.tool_call_id, m.content) for m in outcome.messages if m.role == "tool"] == [
        ("c0", "a"),
        ("c1", "b"),
        ("c2", "c"),
    ]


def test_a_reply_full_of_calls_neither_floods_nor_gets_through_whole() -> None:
    running, most, made = 0, 0, 0

    async def tool(call: ToolCall) -> ToolOutcome:
        nonlocal running, most, made
        running, made = running + 1, made + 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return ToolOutcome("")

    flood = calling(*[("a", "{}")] * (PER_REPLY + 5))
    outcome = asyncio.run(go(model=replying(flood, Reply("done")), tool=tool))
    assert (most, made) == (AT_ONCE, PER_REPLY)
    answers = [message for message in outcome.messages if message.role == "tool"]
    assert len(answers) == PER_REPLY + 5
    assert "not made" in answers[-1].content


@pytest.mark.parametrize(
    ("arguments", "why"),
    [("{oops", "not valid JSON"), ("[]", "JSON object"), ('{"a": 1, "a": 2}', "twice")],
)
def test_malformed_arguments_are_explained_and_reach_no_tool(arguments: str, why: str) -> None:
    async def tool(call: ToolCall) -> ToolOutcome:
        raise AssertionError("reached")

    record = Recorded()
    model = replying(calling(("a", arguments)), Reply("sorry"))
    outcome = asyncio.run(go(model=model, tool=tool, record=record))
    assert outcome.state is State.DONE
    assert why in outcome.messages[2].content
    assert not record.of(ToolReturned)[0].ok


def test_an_unknown_tool_is_explained() -> None:
    async def tool(call: ToolCall) -> ToolOutcome:
        raise SpecError(f"unknown tool {call.name!r}")

    outcome = asyncio.run(go(model=replying(calling(("x", "{}")), Reply("ok")), tool=tool))
    assert outcome.messages[2].content == "The call was not made: unknown tool 'x'"
    assert outcome.state is State.DONE


@pytest.mark.parametrize("raised", [False, True])
def test_a_denial_is_an_explanation_to_the_model(raised: bool) -> None:
    async def tool(call: ToolCall) -> ToolOutcome:
        if raised:
            raise Denied("two are held", reasons=("third_capability",), call="k1")
        return ToolOutcome("two are held", False, True, ("third_capability",), "k1")

    record = Recorded()
    model = replying(calling(("a", "{}")), Reply("ok"))
    outcome = asyncio.run(go(model=model, tool=tool, record=record))
    assert outcome.messages[2].content == "two are held"
    (denied,) = record.of(ToolDenied)
    assert denied == ToolDenied("c0", "a", "two are held", ("third_capability",), "k1")
    assert record.of(ToolReturned) == []


def test_held_is_told_when_it_grows_and_only_then() -> None:
    held = iter([{FILES}, {FILES}, {FILES, INTERNET}, {FILES}])

    async def tool(call: ToolCall) -> ToolOutcome:
        return ToolOutcome("", held=frozenset(next(held)))

    record = Recorded()
    asyncio.run(go("CALL a {} CALL b {} CALL c {} CALL d {}", tool=tool, record=record))
    assert [event.held for event in record.of(HeldChanged)] == [{FILES}, {FILES, INTERNET}]


@pytest.mark.parametrize("error", [ModelError("gone"), Denied("no contract")])
def test_a_model_that_cannot_be_asked_ends_the_run(error: Exception) -> None:
    record = Recorded()
    outcome = asyncio.run(go(model=replying(error), record=record))
    assert outcome.state is State.FAILED
    assert outcome.error is error
    assert record.of(Finished)[0].error == str(error)
    with pytest.raises(type(error)):
        outcome.raise_for_state()


def test_without_a_ledger_the_run_ends_and_nothing_beside_it_goes_on() -> None:
    gone_on = False

    async def tool(call: ToolCall) -> ToolOutcome:
        nonlocal gone_on
        if call.name == "broken":
            raise LedgerError("the disk is full")
        await asyncio.sleep(3600)
        gone_on = True
        return ToolOutcome("")

    model = replying(calling(("slow", "{}"), ("broken", "{}")))
    outcome = asyncio.run(go(model=model, tool=tool))
    assert outcome.state is State.FAILED
    assert str(outcome.error) == "the disk is full"
    assert not gone_on


def test_a_bug_is_raised_as_it_is() -> None:
    async def tool(call: ToolCall) -> ToolOutcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(go("CALL a {}", tool=tool))


class _Beyond(Exception):
    """The model was asked more often than the limit allows."""


async def _asked_nine_times(messages: Sequence[Message], *_: object) -> Reply:
    if sum(message.role == "assistant" for message in messages) == 8:
        raise _Beyond
    return calling(("a", "{}"))


def test_without_a_purse_nothing_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = RunLimits(steps=7)
    assert asyncio.run(go(model=_asked_nine_times, limits=limits)).state is State.LIMIT
    monkeypatch.setattr(Purse, "begin_step", lambda purse: None)
    with pytest.raises(_Beyond):
        asyncio.run(go(model=_asked_nine_times, limits=limits))


def test_the_step_limit_holds_against_a_model_that_never_stops() -> None:
    made = 0

    async def forever(*_: object) -> Reply:
        return calling(("a", "{}"))

    async def tool(call: ToolCall) -> ToolOutcome:
        nonlocal made
        made += 1
        return ToolOutcome("")

    outcome = asyncio.run(go(model=forever, tool=tool, limits=RunLimits(steps=7)))
    assert made == 7
    assert outcome.state is State.LIMIT
    with pytest.raises(LimitReached, match=r"^the limit of 7 steps is used up$"):
        outcome.raise_for_state()


@pytest.mark.parametrize(
    ("limits", "usage"),
    [
        (RunLimits(tokens=20), Usage(8, 2)),
        (RunLimits(usd=0.2), Usage(cost_usd=0.1)),
    ],
)
def test_tokens_and_money_end_a_run_before_its_next_step(limits: RunLimits, usage: Usage) -> None:
    async def forever(*_: object) -> Reply:
        return replace(calling(("a", "{}")), usage=usage)

    outcome = asyncio.run(go(model=forever, limits=limits))
    assert outcome.state is State.LIMIT
    assert outcome.steps == 2


def test_time_ends_a_call_in_the_middle() -> None:
    cancelled = False

    async def tool(call: ToolCall) -> ToolOutcome:
        nonlocal cancelled
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled = True
            raise
        return ToolOutcome("")

    outcome = asyncio.run(go("CALL a {}", tool=tool, limits=RunLimits(seconds=0.05)))
    assert cancelled
    assert outcome.state is State.LIMIT
    assert isinstance(outcome.error, LimitReached)
    assert outcome.error.limit == "seconds"


def test_a_timeout_of_something_else_is_not_the_runs() -> None:
    async def tool(call: ToolCall) -> ToolOutcome:
        raise TimeoutError("not mine")

    with pytest.raises(TimeoutError, match=r"^not mine$"):
        asyncio.run(go("CALL a {}", tool=tool, limits=RunLimits(seconds=60)))


def test_cancelling_cancels_the_calls_and_still_gives_an_outcome() -> None:
    ended: list[str] = []

    async def cancelled() -> Outcome:
        both = asyncio.Barrier(3)

        async def tool(call: ToolCall) -> ToolOutcome:
            await both.wait()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(call.name)
            return ToolOutcome("")

        record = Recorded()
        running = asyncio.create_task(go("CALL a {} AND CALL b {}", tool=tool, record=record))
        await both.wait()
        running.cancel()
        outcome = await running
        assert record.of(Finished)[0].state is State.CANCELLED
        return outcome

    outcome = asyncio.run(cancelled())
    assert sorted(ended) == ["a", "b"]
    assert outcome.state is State.CANCELLED
    with pytest.raises(Cancelled):
        outcome.raise_for_state()


def test_text_that_was_streamed_is_not_said_twice() -> None:
    async def streaming(_: object, __: object, on_text: Callable[[str], None]) -> Reply:
        on_text("do")
        on_text("ne")
        return Reply("done")

    record = Recorded()
    asyncio.run(go(model=streaming, record=record))
    assert [event.text for event in record.of(TextDelta)] == ["do", "ne"]


def test_a_run_goes_on_with_what_was_not_begun_and_only_that() -> None:
    asked: list[str] = []

    async def tool(call: ToolCall) -> ToolOutcome:
        asked.append(call.id)
        return ToolOutcome("made now")

    calls = tuple(ToolCall(f"c{n}", "read", "{}") for n in range(3))
    begun = Progress(
        (Message("user", "go"), Message("assistant", "", calls)),
        ("known", None, "unknown"),
        Spent(steps=7, usage=Usage(input_tokens=70)),
        seconds=100.0,
    )
    last = replying(Reply("done", usage=Usage(input_tokens=5)))
    outcome = asyncio.run(go(begun, model=last, tool=tool))
    assert asked == ["c1"]
    assert [m.content for m in outcome.messages if m.role == "tool"] == [
        "known",
        "made now",
        "unknown",
    ]
    assert (outcome.steps, outcome.usage.input_tokens) == (8, 75)
    assert outcome.seconds >= 100


def test_a_run_that_had_come_to_its_end_asks_nobody() -> None:
    begun = Progress((Message("user", "go"), Message("assistant", "the answer")))
    outcome = asyncio.run(go(begun, model=replying()))
    assert (outcome.state, outcome.text) == (State.DONE, "the answer")
