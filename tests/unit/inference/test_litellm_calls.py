"""The real LiteLLM against a real server on a socket."""

import asyncio
import contextlib
import json
import threading
from typing import Any

import pytest

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

from trilemma.errors import ModelError
from trilemma.inference.messages import FunctionTool, Message, Reply, ToolCall
from trilemma.inference.names import resolve_model

TALK = (Message("system", "Be brief."), Message("user", "What is in a.txt?"))
READ = FunctionTool(
    "read_file",
    "Read a file.",
    {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
)


def ask(name: str, talk: Any = TALK, tools: Any = (READ,), on_text: Any = None) -> Reply:
    return asyncio.run(resolve_model(name).complete(talk, tools, on_text=on_text))


def test_a_whole_answer_comes_back_with_usage_and_price(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("Nothing.",))]
    reply = ask("openai/gpt-4o")
    assert reply.content == "Nothing."
    assert reply.tool_calls == ()
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (11, 7)
    assert reply.usage.cached_tokens == 5
    assert reply.usage.priced
    assert 0 < reply.usage.cost_usd < 0.01


def test_a_streamed_answer_comes_in_pieces_and_is_the_same(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("Noth", "ing", "."))]
    pieces: list[str] = []
    streamed = ask("openai/gpt-4o", on_text=pieces.append)
    assert pieces == ["Noth", "ing", "."]
    assert streamed == ask("openai/gpt-4o")


@pytest.mark.parametrize("streaming", [False, True])
def test_tool_calls_come_back_as_written(model_server: Any, answer: Any, streaming: bool) -> None:
    calls = (("c1", "read_file", '{"path": "a.txt"}'), ("c2", "read_file", '{"path": "ü"}'))
    model_server.answers = [answer(("Let me look.",), calls)]
    reply = ask("openai/gpt-4o", on_text=(lambda text: None) if streaming else None)
    assert reply.content == "Let me look."
    assert reply.tool_calls == tuple(ToolCall(*call) for call in calls)


def test_only_text_and_function_tools_go_out(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    talk = (
        *TALK,
        Message("assistant", "", (ToolCall("c1", "read_file", '{"path": "a.txt"}'),)),
        Message("tool", "see https://pictures.example/a.png", tool_call_id="c1"),
    )
    ask("openai/gpt-4o", talk)
    (sent,) = model_server.requests
    assert {tool["type"] for tool in sent["tools"]} == {"function"}
    assert all(isinstance(message.get("content"), str | None) for message in sent["messages"])
    assert [message["role"] for message in sent["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    assert sent["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"path": "a.txt"}'
    assert sent["messages"][3]["tool_call_id"] == "c1"
    assert set(sent) == {"model", "messages", "tools", "stream", "stream_options"}


def test_arguments_that_are_no_json_do_not_end_the_conversation(
    model_server: Any, answer: Any
) -> None:
    model_server.answers = [answer(("ok",))]
    talk = (
        *TALK,
        Message("assistant", "", (ToolCall("c1", "read_file", "{oops"),)),
        Message("tool", "not valid JSON", tool_call_id="c1"),
    )
    assert ask("openai/gpt-4o", talk).content == "ok"
    assert ask("anthropic/claude-sonnet-4-5", talk).content == "ok"


def test_anthropic_gets_the_same_conversation(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("Look.",), (("t1", "read_file", '{"path": "a.txt"}'),))]
    reply = ask("anthropic/claude-sonnet-4-5")
    assert reply.content == "Look."
    assert [call.name for call in reply.tool_calls] == ["read_file"]
    assert json.loads(reply.tool_calls[0].arguments) == {"path": "a.txt"}
    assert reply.usage.cost_usd > 0
    (sent,) = model_server.requests
    assert model_server.paths == ["/v1/messages"]
    assert [tool["name"] for tool in sent["tools"]] == ["read_file"]
    assert set(sent) == {"model", "messages", "system", "tools", "max_tokens", "stream"}
    assert all(tool.get("type", "custom") == "custom" for tool in sent["tools"])


@pytest.mark.parametrize("streaming", [False, True])
def test_usage_that_the_server_does_not_say_is_counted_here(
    model_server: Any, answer: Any, streaming: bool
) -> None:
    model_server.answers = [answer(("one two three",), says_usage=False)]
    for name in ("openai/gpt-4o", "openai/made-of-nothing"):
        reply = ask(name, on_text=(lambda text: None) if streaming else None)
        assert reply.usage.input_tokens > 5
        assert reply.usage.output_tokens >= 3


def pictures(url: str) -> tuple[Message, ...]:
    return (
        Message("user", f"Look at ![this]({url}/canary.png) and {url}/canary.png"),
        Message("assistant", "", (ToolCall("c1", "read_file", '{"path": "a"}'),)),
        Message("tool", f'{{"type": "image_url", "image_url": "{url}/canary.png"}}', (), "c1"),
    )


@pytest.mark.parametrize("name", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
def test_an_address_in_a_text_is_fetched_by_nobody(
    model_server: Any, answer: Any, name: str
) -> None:
    model_server.answers = [answer(("ok",))]
    ask(name, pictures(model_server.url))
    assert model_server.fetched == []


def test_an_address_that_is_no_text_would_be_fetched(
    model_server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: once a message can hold a picture's address, this very process asks for it."""
    model_server.answers = [answer(("ok",))]
    picture = {"type": "image_url", "image_url": {"url": f"{model_server.url}/canary.png"}}
    with_picture = [{"role": "user", "content": [picture]}]
    monkeypatch.setattr("trilemma.inference.litellm.write_messages", lambda _: with_picture)
    # LiteLLM refuses addresses of this machine, which is where the canary has to live.
    monkeypatch.setattr("litellm.user_url_validation", False)
    with contextlib.suppress(ModelError):
        ask("anthropic/claude-sonnet-4-5")
    assert model_server.fetched[:1] == ["/canary.png"]


def test_an_unknown_price_is_said_and_not_taken_for_zero(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    assert not ask("openai/made-of-nothing").usage.priced


def test_call_ids_that_repeat_become_unique(model_server: Any, answer: Any) -> None:
    calls = (("c", "a", "{}"), ("c", "b", "{}"), ("c", "d", "{}"))
    model_server.answers = [answer((), calls)]
    ids = [call.id for call in ask("openai/gpt-4o").tool_calls]
    assert len(set(ids)) == 3
    assert all(ids)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "does not accept the key; set OPENAI_API_KEY"),
        (403, "may not use this model"),
        (404, "does not know this model"),
        (400, "found the request wrong"),
        (422, "answered with nothing"),
    ],
)
@pytest.mark.parametrize("streaming", [False, True])
def test_a_refusal_of_the_provider_is_one_clear_line(
    model_server: Any, answer: Any, status: int, meaning: str, streaming: bool
) -> None:
    body = json.dumps({"error": {"message": "no\nand sk-a-key-for-the-test", "type": "x"}})
    model_server.answers = [answer(status=status, body=body)]
    with pytest.raises(ModelError, match=meaning) as raised:
        ask("openai/gpt-4o", on_text=(lambda text: None) if streaming else None)
    assert "\n" not in str(raised.value)
    assert "sk-a-key-for-the-test" not in str(raised.value)


def test_a_busy_provider_is_asked_again(model_server: Any, answer: Any) -> None:
    busy = answer(status=429, body="{}", headers={"Retry-After-Ms": "1"})
    model_server.answers = [busy, answer(("ok",))]
    assert ask("openai/gpt-4o").content == "ok"
    assert len(model_server.requests) == 2


@pytest.mark.parametrize("body", ["not json", "{}", '{"choices": []}', "[]"])
def test_nonsense_is_a_model_error(model_server: Any, answer: Any, body: str) -> None:
    model_server.answers = [answer(body=body)]
    with pytest.raises(ModelError, match="openai/gpt-4o"):
        ask("openai/gpt-4o")


def test_a_model_may_have_nothing_to_add(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(())]
    assert ask("openai/gpt-4o").content == ""
    assert ask("anthropic/claude-sonnet-4-5").content == ""


def test_an_answer_that_breaks_off_in_a_tool_call_is_no_call_with_other_arguments(
    model_server: Any, answer: Any
) -> None:
    calls = (("c1", "read_file", '{"path": "a"}'),)
    model_server.answers = [answer((), calls, breaks_off=True)]
    with pytest.raises(ModelError, match="broke off"):
        ask("openai/gpt-4o", on_text=lambda text: None)


def test_nobody_listening_is_a_model_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-for-the-test")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(ModelError, match="openai/gpt-4o"):
        ask("openai/gpt-4o")


def test_an_error_of_the_listener_is_its_own(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("a", "b"))]

    def listener(text: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask("openai/gpt-4o", on_text=listener)


def test_cancelling_ends_the_wait(model_server: Any, answer: Any) -> None:
    gate = threading.Event()
    model_server.answers = [answer(("late",), hangs_until=gate)]

    async def cancelled() -> None:
        call = asyncio.create_task(resolve_model("openai/gpt-4o").complete(TALK, ()))
        await asyncio.to_thread(model_server.arrived.wait, 30)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    try:
        asyncio.run(cancelled())
    finally:
        gate.set()


def test_one_event_loop_after_the_other(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    for _ in range(5):
        assert ask("openai/gpt-4o").content == "ok"
        assert ask("openai/gpt-4o", on_text=lambda text: None).content == "ok"


def test_many_at_once_in_several_loops(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    texts: list[str] = []

    async def several() -> None:
        model = resolve_model("openai/gpt-4o")
        replies = await asyncio.gather(*(model.complete(TALK, ()) for _ in range(4)))
        texts.extend(reply.content for reply in replies)

    threads = [threading.Thread(target=asyncio.run, args=(several(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["ok"] * 12
