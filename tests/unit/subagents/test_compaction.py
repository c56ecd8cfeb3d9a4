"""A conversation folds: it fits, it stays valid, and what opens it stays byte for byte."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import LimitReached
from trilemma.inference.gullible import GullibleModel
from trilemma.inference.messages import FunctionTool, Message, Reply, ToolCall
from trilemma.subagents import compaction
from trilemma.subagents.compaction import fold, weigh
from trilemma.subagents.loop import run
from trilemma.subagents.outcome import ToolOutcome
from trilemma.subagents.prompt import Layout

NAMES = st.sampled_from(["read_file", "run_code", "http_fetch"]) | st.text(max_size=8)
ANSWERS = (
    st.text(max_size=60)
    | st.builds(lambda n, c: c * n, st.integers(0, 9000), st.sampled_from("aé漢\ud800"))
    | st.sampled_from(["The call failed (timeout): late", "Refused: tool run_code takes code."])
)
BOUNDS = st.integers(4096, 20_000)


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """As the loop makes them, ready to be sent."""
    messages = [Message("system", draw(st.text(max_size=99)))] * draw(st.integers(0, 1))
    messages.append(Message("user", draw(st.text(max_size=200))))
    for step in range(draw(st.integers(0, 7))):
        made = draw(st.lists(st.tuples(NAMES, ANSWERS), min_size=1, max_size=3))
        calls = [ToolCall(f"c{step}.{n}", name, "{}") for n, (name, _) in enumerate(made)]
        messages.append(Message("assistant", draw(st.text(max_size=30)), tuple(calls)))
        messages += [
            Message("tool", answer, tool_call_id=call.id)
            for call, (_, answer) in zip(calls, made, strict=True)
        ]
    return messages


def assert_valid(messages: Sequence[Message]) -> None:
    """What every provider asks for: roles take turns, and each call has its answer after it."""
    waiting: list[str] = []
    before = ""
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id == waiting.pop(0)
            before = message.role
            continue
        assert not waiting
        assert message.role != before
        before = message.role
        waiting = [call.id for call in message.tool_calls]
    assert not waiting
    assert messages[-1].role in ("user", "tool")


def opening(messages: Sequence[Message]) -> list[Message]:
    end = next((n for n, m in enumerate(messages) if m.role == "assistant"), len(messages))
    return list(messages[:end])


@given(conversations(), BOUNDS)
def test_it_fits_is_valid_and_opens_the_same(messages: list[Message], bound: int) -> None:
    assert_valid(messages)
    folded = fold(messages, bound)
    assert weigh(folded) <= bound
    assert_valid(folded)
    start = opening(messages)
    assert list(folded[: len(start)]) == start
    assert fold(messages, bound) == folded
    if weigh(messages) <= bound:
        assert list(folded) == messages
    newest = [m for m in messages[len(start) :] if m.role == "assistant"][-1:]
    assert [m for m in folded if m.tool_calls][-1:] == newest


@given(conversations(), conversations(), BOUNDS)
def test_folded_again_and_again_it_counts_every_call(
    first: list[Message], second: list[Message], bound: int
) -> None:
    rest = second[len(opening(second)) :]
    folded = fold([*fold(first, bound), *rest], bound)
    assert weigh(folded) <= bound
    assert_valid(folded)
    said = [m.content for m in folded if m.content.startswith("[The first ")]
    counted = sum(n for text in said for n in compaction._Past.read(text).ended.values())
    kept = sum(len(m.tool_calls) for m in folded)
    assert counted + kept == sum(len(m.tool_calls) for m in [*first, *rest])


def test_the_note_says_what_was_called_and_how_it_ended() -> None:
    messages = [Message("user", "go")]
    endings = ["fine", "The call failed (timeout): late", "Refused: tool read_file takes files."]
    for step in range(60):
        call = ToolCall(f"c{step}", "read_file" if step % 2 else "CALL x {}\nCALL", "{}")
        messages.append(Message("assistant", "", (call,)))
        messages.append(Message("tool", endings[step % 3] + "x" * 300, tool_call_id=call.id))
    folded = fold(messages, 5000)
    assert folded[1].content == (
        "[The first 42 steps of this run were folded, to keep the conversation short.\n"
        "- (other): 7 well, 7 failed, 7 refused\n"
        "- read_file: 7 well, 7 failed, 7 refused\n"
        "What those calls returned is no longer shown; make a call again where it is needed.]"
    )


def test_large_old_results_go_first() -> None:
    messages = [Message("user", "go")]
    for step in range(12):
        messages.append(Message("assistant", "", (ToolCall(f"c{step}", "read_file", "{}"),)))
        messages.append(Message("tool", "x" * 3600, tool_call_id=f"c{step}"))
    folded = fold(messages, 12_000)
    assert len(folded) == len(messages)
    large = [len(m.content) > 3000 for m in folded if m.role == "tool"]
    assert large == [False] * 8 + [True] * 4


def test_what_cannot_fit_ends_the_run() -> None:
    call = ToolCall("c", "write_file", '{"text": "' + "x" * 30_000 + '"}')
    messages = [Message("user", "go"), Message("assistant", "", (call,))]
    messages.append(Message("tool", "wrote it", tool_call_id="c"))
    with pytest.raises(LimitReached, match="longer than the limit of 4096 context tokens"):
        fold(messages, 4096)


def test_the_loop_sends_no_more_than_its_bound_and_the_model_goes_on() -> None:
    """Ids that the built-in model gives stay different, though it forgets how many it gave."""
    sent: list[int] = []
    ids: list[str] = []

    async def call_model(
        messages: Sequence[Message], tools: Sequence[FunctionTool], on_text: object
    ) -> Reply:
        sent.append(weigh(messages))
        assert_valid(messages)
        return await GullibleModel().complete(messages, tools)

    async def call_tool(call: ToolCall) -> ToolOutcome:
        ids.append(call.id)
        number = len(ids)
        order = f'CALL count {{"n": {number + 1}}}' if number < 200 else "done"
        return ToolOutcome("x" * 500 + "\n" + order)

    outcome = asyncio.run(
        run(
            'CALL count {"n": 1}',
            layout=Layout(),
            call_model=call_model,
            call_tool=call_tool,
            seconds=None,
            context_tokens=5000,
            emit=lambda event: None,
        )
    )
    assert outcome.error is None
    assert len(ids) == 200
    assert max(sent) <= 5000
    assert weigh(outcome.messages) < 6000
