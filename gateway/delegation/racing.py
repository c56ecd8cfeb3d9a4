"""Several sub-agents on the same errand: the first that ends well, and nobody goes on after it."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from trilemma.errors import Denied, SpecError

from ..interface import ChildOutcome
from ..lasting import to_its_end


@dataclass(frozen=True, slots=True)
class First:
    """Who was first, or last of those that failed."""

    index: int
    _ended: "asyncio.Task[ChildOutcome]"

    @property
    def outcome(self) -> ChildOutcome:
        """What it said.

        Raises:
            Denied: it was refused, and so had everybody failed.
        """
        return self._ended.result()


async def first_that_ends_well(running: Sequence[Coroutine[Any, Any, ChildOutcome]]) -> First:
    """Wait for the first good end; the others are cancelled, and gone when this returns.

    Where none ends well it is the last failure; a refusal counts as one.

    Raises:
        SpecError: there is nobody to wait for.
        TrilemmaError: what would end each of them ends all.
    """
    if not running:
        raise SpecError("a race needs somebody who runs")
    tasks = [asyncio.ensure_future(each) for each in running]
    try:
        return await _first(tasks)
    finally:
        for task in tasks:
            task.cancel()
        await to_its_end(asyncio.gather(*tasks, return_exceptions=True))


async def _first(tasks: Sequence["asyncio.Task[ChildOutcome]"]) -> First:
    waiting, last = set(tasks), tasks[0]
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        # Of several at once the one that was named first.
        for last in sorted(done, key=tasks.index):
            if not isinstance(last.exception(), Denied) and last.result().ok:
                return First(tasks.index(last), last)
    return First(tasks.index(last), last)
