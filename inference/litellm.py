"""Models that answer over HTTP, through LiteLLM: loaded at the first call, never at import."""

import importlib
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from trilemma.errors import ModelError, SpecError

from . import ownloop
from .engines import InsideServer, told
from .foreign import translated
from .messages import CallIdentity, FunctionTool, Message, Reply, ToolCall, Usage
from .model import ModelRef
from .wire import write_messages, write_tools

SECONDS = 600.0
"""Longest wait for an answer. A run's own limit usually ends it sooner."""

RETRIES = 2
"""How often a call that did not get through is tried again."""

_MARKED = "anthropic"
"""The one provider that keeps only prefixes whose end is marked; the others see for themselves."""

_MARKS = [{"location": "message", "role": "system"}, {"location": "message", "index": -1}]
"""Ends that later calls have too: what a tree shares, and the conversation so far. Says nothing of
who calls."""

_REMARKS = (r"Items? '\w+'.* on TypedDict class", r"Accessing the 'model_\w+' attribute")
"""Warnings of its types about themselves, which would land in the middle of a live view."""


class LiteLLMModel:
    """One model of an outside provider, or of a server inside.

    For a provider, keys and addresses come from the environment, and only text and function tools
    go out, to the named one and to nobody else: nothing that says who calls. A server inside is
    given with the model, and is told the identity of each call.
    """

    def __init__(self, ref: ModelRef, server: InsideServer | None = None) -> None:
        if ref.inside != (server is not None):
            raise SpecError(
                f"model {ref.name!r}: a model inside has a server, one outside has none"
            )
        self._ref = ref
        self._server = server

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        return self._ref

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        *,
        identity: CallIdentity | None = None,
        max_tokens: int | None = None,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer the conversation. It is streamed also where nobody listens: one path for all.

        Raises:
            ModelError: the model cannot be reached or its answer cannot be used.

        """
        request = self._request(messages, tools) | self._inside(identity)
        if max_tokens is not None:
            request["max_tokens"] = max_tokens
        return await ownloop.stream(
            lambda say: self._answer(request, say), on_text or (lambda text: None)
        )

    def _request(
        self, messages: Sequence[Message], tools: Sequence[FunctionTool]
    ) -> dict[str, Any]:
        provider, _, model = self._ref.name.partition("/")
        request: dict[str, Any] = {
            "model": model,
            # Said outright, so that no list of LiteLLM's sends the name anywhere else.
            "custom_llm_provider": provider,
            "messages": write_messages(messages),
            "timeout": SECONDS,
            "max_retries": RETRIES,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if provider == _MARKED:
            request["cache_control_injection_points"] = _MARKS
        return request | ({"tools": write_tools(tools)} if tools else {})

    def _inside(self, identity: CallIdentity | None) -> dict[str, Any]:
        """Where a server inside is, and who calls. Empty for a model outside."""
        if self._server is None:
            return {}
        if identity is None:
            raise ModelError("a model inside is told who calls, and nobody was named")
        along = told(self._server.engine, identity)
        return {
            "custom_llm_provider": "hosted_vllm",
            "api_base": self._server.url,
            "api_key": "none",
            "extra_headers": along.headers,
            "extra_body": along.body,
        }

    async def _answer(self, request: dict[str, Any], say: Callable[[str], None]) -> Reply:
        with translated(self._ref):
            litellm, chunks = _load(), []
            if self._server is not None:
                request["client"] = _straight(os.getpid())
            async for chunk in _something(await litellm.acompletion(**request)):
                chunks.append(chunk)
                if chunk.choices and chunk.choices[0].delta.content:
                    say(chunk.choices[0].delta.content)
            # Where the server does not say what was used, this counts it.
            whole = litellm.stream_chunk_builder(chunks, messages=request["messages"])
            return _reply(litellm, whole)


def _load() -> Any:
    """LiteLLM, without what it does by itself: fetch prices, read ``.env`` files, print advice."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    for remark in _REMARKS:
        warnings.filterwarnings("ignore", remark)
    litellm: Any = importlib.import_module("litellm")
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.disable_aiohttp_transport = True
    return litellm


@cache
def _straight(pid: int) -> Any:
    """A client that goes to the server named and nowhere else: by no proxy, after no redirect.

    One for each process: a fork inherits the object, but not the connections.
    """
    import httpx

    handlers: Any = importlib.import_module("litellm.llms.custom_httpx.http_handler")
    straight = httpx.AsyncHTTPTransport(trust_env=False)
    return handlers.AsyncHTTPHandler(SECONDS, transport=straight, follow_redirects=False)


def _something(response: Any) -> Any:
    """LiteLLM swallows some refusals of a provider and answers with nothing."""
    if response is None:
        raise ModelError("the provider answered with nothing")
    return response


def _reply(litellm: Any, response: Any) -> Reply:
    choice = _something(response).choices[0]
    content = choice.message.content or ""
    calls = _tool_calls(choice.message.tool_calls or ())
    usage = _usage(litellm, response)
    if not content and not calls:
        if choice.finish_reason == "content_filter":
            raise ModelError("the provider's content filter withheld the answer")
        # A model may have nothing to add; an answer of no tokens at all is nobody's.
        _something(usage.output_tokens or None)
    return Reply(content, calls, usage)


def _tool_calls(raw: Sequence[Any]) -> tuple[ToolCall, ...]:
    """The calls, each with an id of its own: some servers leave it out or repeat it."""
    calls: list[ToolCall] = []
    for number, call in enumerate(raw, 1):
        taken = {earlier.id for earlier in calls}
        id = call.id if call.id and call.id not in taken else f"{call.id or 'call'}_{number}"
        calls.append(ToolCall(id, call.function.name or "", call.function.arguments or ""))
    return tuple(calls)


def _usage(litellm: Any, response: Any) -> Usage:
    usage = response.usage
    details = getattr(usage, "prompt_tokens_details", None)
    try:
        cost, priced = float(litellm.completion_cost(completion_response=response)), True
    except Exception:
        # No price is known for this model. Saying so is what keeps a limit in money honest.
        cost, priced = 0.0, False
    return Usage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        getattr(details, "cached_tokens", None) or 0,
        cost,
        priced,
    )
