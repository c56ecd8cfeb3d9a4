"""Outside models, through LiteLLM. It is loaded at the first call, never at import."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any

from trilemma.errors import ModelError

from .foreign import translated
from .loops import close_with_loop
from .messages import FunctionTool, Message, Reply, ToolCall, Usage
from .model import ModelRef
from .wire import write_messages, write_tools

SECONDS = 600.0
"""Longest wait for an answer. A run's own limit usually ends it sooner."""

RETRIES = 2
"""How often a call that did not get through is tried again."""


class LiteLLMModel:
    """One model of an outside provider. Keys and addresses come from the environment.

    Only text and function tools go out, to the named provider and to nobody else.
    """

    def __init__(self, ref: ModelRef) -> None:
        self._ref = ref

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        return self._ref

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[FunctionTool],
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Answer the conversation; with ``on_text`` the answer is streamed.

        Raises:
            ModelError: the model cannot be reached or its answer cannot be used.

        """
        litellm = await _load()
        await close_with_loop(litellm)
        request = self._request(messages, tools)
        if on_text is None:
            with translated(self._ref):
                response = await litellm.acompletion(**request)
        else:
            response = await self._stream(litellm, request, on_text)
        with translated(self._ref):
            return _reply(litellm, response)

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
        }
        return request | ({"tools": write_tools(tools)} if tools else {})

    async def _stream(
        self, litellm: Any, request: dict[str, Any], on_text: Callable[[str], None]
    ) -> Any:
        chunks = []
        async with aclosing(self._chunks(litellm, request)) as stream:
            async for chunk in stream:
                chunks.append(chunk)
                if chunk.choices and chunk.choices[0].delta.content:
                    on_text(chunk.choices[0].delta.content)
        with translated(self._ref):
            return litellm.stream_chunk_builder(chunks, messages=request["messages"])

    async def _chunks(self, litellm: Any, request: dict[str, Any]) -> AsyncIterator[Any]:
        with translated(self._ref):
            options = {"stream": True, "stream_options": {"include_usage": True}}
            async for chunk in await litellm.acompletion(**request, **options):
                yield chunk


async def _load() -> Any:
    """LiteLLM, without what it does by itself: fetch prices, read ``.env`` files, print advice."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_MODE"] = "PRODUCTION"
    # It takes seconds the first time, in which a live view should not stand still.
    litellm: Any = await asyncio.to_thread(importlib.import_module, "litellm")
    litellm.suppress_debug_info = True
    litellm.drop_params = True
    litellm.disable_aiohttp_transport = True
    return litellm


def _reply(litellm: Any, response: Any) -> Reply:
    if response is None or not response.choices:
        raise ModelError("the model's answer is empty")
    choice = response.choices[0]
    content = choice.message.content or ""
    calls = _tool_calls(choice.message.tool_calls or ())
    if choice.finish_reason == "content_filter" and not content and not calls:
        raise ModelError("the provider's content filter withheld the answer")
    return Reply(content, calls, _usage(litellm, response))


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
