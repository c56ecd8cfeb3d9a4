"""One event loop of its own for a library that keeps connections and tasks per loop.

LiteLLM caches its clients under the address of the loop that made them and never closes them, so a
program that calls ``asyncio.run`` twice could meet a client whose connections died with the first
loop. In one loop that lives as long as the process nothing of that can happen, and work that the
library does between two pieces of text delays nobody else's.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()


async def stream(
    begin: Callable[[Callable[[str], None]], Coroutine[Any, Any, T]],
    on_text: Callable[[str], None],
) -> T:
    """Run a coroutine in the loop apart and wait. Cancelling the wait cancels it there.

    What it says on the way, through the function that ``begin`` is given, is handed to
    ``on_text`` in the caller's loop, all of it before the result.
    """
    caller = asyncio.get_running_loop()
    pieces: asyncio.Queue[str | None] = asyncio.Queue()

    def say(text: str) -> None:
        caller.call_soon_threadsafe(pieces.put_nowait, text)

    with _lock:
        loop = _loop(os.getpid())
    answer = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begin(say), loop))
    answer.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            on_text(piece)
        return await answer
    finally:
        answer.cancel()


@cache
def _loop(pid: int) -> asyncio.AbstractEventLoop:
    """The loop of this process: a fork inherits the object, but not the thread that turns it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="trilemma-models", daemon=True).start()
    return loop
