"""What arrives at a server inside, and what never arrives at one outside."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("litellm", reason="needs LiteLLM: pip install 'trilemma[models]'")

from trilemma.errors import ModelError, SpecError
from trilemma.inference.engines import Engine, InsideServer
from trilemma.inference.litellm import LiteLLMModel
from trilemma.inference.messages import CallIdentity, FunctionTool, Message, Reply
from trilemma.inference.model import Model, ModelRef
from trilemma.inference.names import resolve_model

IDENTITY = CallIdentity("5e55104", "74ee", "9a4e47", 1, "5a17")
TALK = (Message("system", "Be brief."), Message("user", "What is in a.txt?"))
READ = FunctionTool("read_file", "Read.", {"type": "object"})


def inside(server: Any, engine: Engine) -> Model:
    ref = ModelRef("cluster/tiny", "cluster", inside=True, caches=True)
    return LiteLLMModel(ref, InsideServer(engine, server.url + "/v1"))


def ask(model: Model, identity: CallIdentity | None = IDENTITY, **options: Any) -> Reply:
    return asyncio.run(model.complete(TALK, (READ,), identity=identity, **options))


def extra_headers(server: Any) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in server.headers[-1].items()
        if name.lower().startswith(("x-session", "x-smg", "x-dynamo"))
    }


PLAIN = {"model", "messages", "tools", "stream", "stream_options"}


@pytest.mark.parametrize(
    ("engine", "headers", "body"),
    [
        (
            Engine.SGLANG,
            {
                "x-session-id": "5e55104",
                "x-smg-routing-key": "74ee",
                "x-smg-priority": "interactive",
            },
            {"priority": 1, "cache_salt": "5a17"},
        ),
        (Engine.VLLM, {"x-session-id": "5e55104"}, {"priority": -1, "cache_salt": "5a17"}),
        (
            Engine.DYNAMO,
            {"x-dynamo-session-id": "5e55104", "x-dynamo-parent-session-id": "9a4e47"},
            {"nvext": {"agent_hints": {"priority": 1}, "cache_salt": "5a17"}},
        ),
    ],
)
def test_a_server_inside_is_told_who_calls_in_its_own_words(
    model_server: Any, answer: Any, engine: Engine, headers: dict[str, str], body: dict[str, Any]
) -> None:
    model_server.answers = [answer(("ok",))]
    assert ask(inside(model_server, engine)).content == "ok"
    (sent,) = model_server.requests
    assert {name: sent[name] for name in set(sent) - PLAIN} == body
    assert extra_headers(model_server) == headers
    assert sent["model"] == "tiny"
    assert model_server.paths == ["/v1/chat/completions"]


def test_a_child_is_behind_its_root_in_the_routers_queue(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    ask(inside(model_server, Engine.SGLANG), CallIdentity("s", "t", "p", 0, "x"))
    assert extra_headers(model_server)["x-smg-priority"] == "default"
    assert model_server.requests[-1]["priority"] == 0


@pytest.mark.parametrize("name", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"])
def test_a_provider_outside_learns_nothing_of_who_calls(
    model_server: Any, answer: Any, name: str
) -> None:
    model_server.answers = [answer(("ok",))]
    ask(resolve_model(name))
    sent = everything_sent(model_server)
    assert not [word for word in minted(IDENTITY) if word in sent]
    assert extra_headers(model_server) == {}
    assert not {"priority", "cache_salt", "user", "prompt_cache_key"} & set(
        model_server.requests[-1]
    )


def test_told_apart_by_nothing_a_provider_would_learn_it(
    model_server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin: once outside models are treated as those inside, every name arrives."""
    model_server.answers = [answer(("ok",))]
    model = resolve_model("openai/gpt-4o")
    server = InsideServer(Engine.SGLANG, model_server.url + "/v1")
    monkeypatch.setattr(model, "_server", server)
    ask(model)
    sent = everything_sent(model_server)
    assert "5e55104" in sent
    assert "5a17" in sent


def test_a_model_inside_is_not_called_without_an_identity(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    with pytest.raises(ModelError, match="who calls"):
        ask(inside(model_server, Engine.SGLANG), None)
    assert model_server.requests == []


def test_inside_and_a_server_go_together() -> None:
    server = InsideServer(Engine.SGLANG, "http://127.0.0.1:1/v1")
    with pytest.raises(SpecError, match="outside has none"):
        LiteLLMModel(ModelRef("openai/gpt-4o", "openai", inside=False), server)
    with pytest.raises(SpecError, match="inside has a server"):
        LiteLLMModel(ModelRef("cluster/tiny", "cluster", inside=True))


def test_keys_of_providers_stay_away_from_a_server_inside(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    ask(inside(model_server, Engine.SGLANG))
    assert "sk-a-key-for-the-test" not in everything_sent(model_server)


def test_an_answer_can_be_kept_to_one_token(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("o",))]
    ask(inside(model_server, Engine.SGLANG), max_tokens=1)
    assert model_server.requests[-1]["max_tokens"] == 1


def minted(identity: CallIdentity) -> set[str]:
    return {identity.session, identity.tree, identity.parent, identity.cache_salt}


def everything_sent(server: Any) -> str:
    return json.dumps([server.requests, server.headers])


def test_anthropic_is_shown_where_prefixes_end(model_server: Any, answer: Any) -> None:
    """It keeps none that is not marked: what siblings share, and the conversation so far."""
    model_server.answers = [answer(("ok",))]
    ask(resolve_model("anthropic/claude-sonnet-4-5"))
    (sent,) = model_server.requests
    marked = [*sent["system"], *sent["messages"][-1]["content"]]
    assert [part["cache_control"] for part in marked] == [{"type": "ephemeral"}] * 2
    assert json.dumps(sent).count("cache_control") == 2


def test_nobody_else_is_sent_marks(model_server: Any, answer: Any) -> None:
    model_server.answers = [answer(("ok",))]
    ask(resolve_model("openai/gpt-4o"))
    ask(inside(model_server, Engine.SGLANG))
    assert "cache_control" not in everything_sent(model_server)


@contextmanager
def outside() -> Iterator[tuple[str, list[str]]]:
    """A server that nobody was told of, and the first lines of what arrives there."""
    arrived: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append(self.requestline)
            self.send_error(503)

        do_CONNECT = do_POST

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}", arrived
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def ask_by_proxy(model_server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What arrives at a proxy that the environment names, when a model inside is asked."""
    model_server.answers = [answer(("ok",))]
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with outside() as (proxy, arrived):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        with contextlib.suppress(ModelError):
            ask(inside(model_server, Engine.SGLANG))
    return arrived


def ask_and_be_sent_on(model_server: Any, answer: Any) -> list[str]:
    """What arrives where a server inside, which has no way out itself, sends the gateway on to."""
    with outside() as (url, arrived):
        model_server.answers = [answer(status=307, body="x", headers={"Location": f"{url}/v1"})]
        with pytest.raises(ModelError):
            ask(inside(model_server, Engine.SGLANG))
    return arrived


def test_no_proxy_stands_between_the_gateway_and_a_server_inside(
    model_server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask_by_proxy(model_server, answer, monkeypatch) == []
    assert len(model_server.requests) == 1


def test_a_server_inside_cannot_send_a_conversation_on(model_server: Any, answer: Any) -> None:
    assert ask_and_be_sent_on(model_server, answer) == []


def test_with_an_ordinary_client_both_would_get_the_conversation(
    model_server: Any, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin."""
    monkeypatch.setattr("trilemma.inference.litellm._straight", ordinary)
    assert ask_and_be_sent_on(model_server, answer)
    assert ask_by_proxy(model_server, answer, monkeypatch)


KEPT: list[Any] = []
"""Clients that were used: one that is thrown away leaves its connections open."""


def ordinary(pid: int) -> Any:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

    KEPT.append(AsyncHTTPHandler())
    return KEPT[-1]
