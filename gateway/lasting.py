"""Work that must not be left half done, whoever is cancelled meanwhile."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(work: "asyncio.Future[T]") -> T:
    """Wait until ``work`` has ended, through any number of cancellations; they are raised then."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return work.result()
    if not work.cancelled():
        # Looked at, so that nobody reports it as lost.
        work.exception()
    raise cancelled


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[T]":
    """Begin blocking work in a thread of the event loop's own. Not a task: nothing cancels it."""
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, lambda: function(*args, **kwargs))
