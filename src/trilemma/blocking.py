"""``BlockingTeam``: a :class:`~trilemma.team.Team` for code without an event loop of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from trilemma.errors import TrilemmaError
from trilemma.gateway.interface import Session
from trilemma.result import Result
from trilemma.task import Task
from trilemma.team import Check, Judge, Team, Who

T = TypeVar("T")


@contextmanager
def blocking(opening: AbstractAsyncContextManager[Team]) -> Iterator["BlockingTeam"]:
    """The team, whose work runs in a thread of its own until the context is left."""
    with LoopThread() as loop:
        team = loop.call(_entered(opening))
        try:
            yield BlockingTeam(team, loop)
        finally:
            loop.call(_left(opening))


class BlockingTeam:
    """What ``with agent.team() as team`` gives: a :class:`~trilemma.team.Team` that waits.

    Works in a notebook too. Functions that were handed in, such as a judge, are called in the
    team's own thread.
    """

    def __init__(self, team: Team, loop: "LoopThread") -> None:
        self._team = team
        self._loop = loop

    @property
    def session(self) -> Session:
        """The open session."""
        return self._team.session

    def run(self, task: Task) -> Result:
        """Give the agent itself a task."""
        return self._loop.call(self._team.run(task))

    def spawn(self, who: Who, task: Any, *, context: str = "") -> Result:
        """Give one sub-agent a task."""
        return self._loop.call(self._team.spawn(who, task, context=context))

    @overload
    def map(
        self,
        who: Who,
        tasks: Iterable[Any],
        *,
        context: str = "",
        at_once: int | None = None,
        collect: Literal[False] = False,
    ) -> list[Result]: ...

    @overload
    def map(
        self,
        who: Who,
        tasks: Iterable[Any],
        *,
        context: str = "",
        at_once: int | None = None,
        collect: Literal[True],
    ) -> list[Result | TrilemmaError]: ...

    def map(self, who: Who, tasks: Iterable[Any], **options: Any) -> Any:
        """Give a sub-agent several tasks side by side."""
        return self._loop.call(self._team.map(who, tasks, **options))

    def best_of(
        self, who: Who, task: Any, n: int, judge: Judge | Who, *, at_once: int | None = None
    ) -> Result:
        """Give the same task out several times, and let a judge choose."""
        return self._loop.call(self._team.best_of(who, task, n, judge, at_once=at_once))

    def race(self, entrants: Iterable[tuple[Who, Any]]) -> Result:
        """The first that ends well; the others are cancelled."""
        return self._loop.call(self._team.race(entrants))

    def retry(self, who: Who, task: Task, check: Check, attempts: int = 3) -> Result:
        """Give a task out until its result passes."""
        return self._loop.call(self._team.retry(who, task, check, attempts))


class LoopThread:
    """An event loop in a thread, for as long as the context lasts."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="trilemma-team"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the loop and wait. An interrupt cancels it."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()
            raise

    async def _serve(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._leave.wait()


async def _entered(opening: AbstractAsyncContextManager[Team]) -> Team:
    return await opening.__aenter__()


async def _left(opening: AbstractAsyncContextManager[Team]) -> None:
    await opening.__aexit__(None, None, None)
