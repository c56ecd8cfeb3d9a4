"""Connections that end with the event loop they belong to.

LiteLLM keeps a client per event loop, under the loop's address, and never closes it. A program that
calls ``asyncio.run`` twice can get a loop at the same address, and with it a client whose
connections died with the first loop.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

_KEEPERS: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}


async def close_with_loop(litellm: Any) -> None:
    """See to it that the running loop's clients are closed when the loop is shut down."""
    loop = asyncio.get_running_loop()
    if loop not in _KEEPERS:
        # A loop that shuts down first closes the generators that were begun in it.
        _KEEPERS[loop] = _keeper(litellm, loop)
        await anext(_KEEPERS[loop])


async def _keeper(litellm: Any, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        del _KEEPERS[loop]
        for client in _take_clients(litellm, loop):
            close = getattr(client, "close", None) or getattr(client, "aclose", None)
            if asyncio.iscoroutinefunction(close):
                await close()


def _take_clients(litellm: Any, loop: asyncio.AbstractEventLoop) -> list[Any]:
    clients = litellm.in_memory_llm_clients_cache.cache_dict
    mine = [key for key in clients if str(key).endswith(f"-{id(loop)}")]
    return [clients.pop(key) for key in mine]
