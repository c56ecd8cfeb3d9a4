"""Ways to hand out work, over a function that hands out one task and waits for its outcome.

All of them are structured: nothing that they began still runs when they return or raise, and the
first error cancels what runs beside it. An outcome that is not ``ok`` is an outcome, no error.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from trilemma.errors import SpecError, TrilemmaError


class Ending(Protocol):
    """How a task ended."""

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        ...


O = TypeVar("O")  # noqa: E741
R = TypeVar("R")
E = TypeVar("E", bound=Ending)

Delegate = Callable[[O], Awaitable[R]]
"""Hands out one task and waits for its outcome."""

Ready = Callable[[Sequence[O]], Awaitable[None]]
"""Gets ready for tasks that are about to begin together; they wait for it."""


async def fan_out(
    delegate: Delegate[O, R],
    orders: Sequence[O],
    at_once: int,
    ready: Ready[O] | None = None,
) -> list[R]:
    """Hand out all tasks, so many at once; the outcomes in the order of the tasks.

    Raises:
        TrilemmaError: the first that any of them raised; the others were cancelled.
    """
    together = orders[: _positive("at_once", at_once)]
    if ready is not None:
        await ready(together)
    left = deque(enumerate(orders))
    outcomes: dict[int, R] = {}

    async def work() -> None:
        try:
            while left:
                number, order = left.popleft()
                outcomes[number] = await delegate(order)
        except BaseException:
            # Before anybody else can take another.
            left.clear()
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for _ in together:
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [outcomes[number] for number in range(len(orders))]


async def collect(
    delegate: Delegate[O, R],
    orders: Sequence[O],
    at_once: int,
    ready: Ready[O] | None = None,
) -> "list[R | TrilemmaError]":
    """As :func:`fan_out`, but an error stands in the place of its outcome, and stops nobody."""

    async def one(order: O) -> R | TrilemmaError:
        try:
            return await delegate(order)
        except TrilemmaError as error:
            return error

    return await fan_out(one, orders, at_once, ready)


async def best_of(
    delegate: Delegate[O, E],
    order: O,
    n: int,
    judge: Callable[[Sequence[E]], Awaitable[int]],
    at_once: int,
    ready: Ready[O] | None = None,
) -> E:
    """Hand the same task out ``n`` times, and let a judge say which outcome it is to be.

    The judge sees those that ended well and gives a position among them; a single one needs no
    judge, and where there is none the last failure is the outcome.

    Raises:
        SpecError: the judge gave no such position.
        TrilemmaError: as :func:`fan_out`.
    """
    outcomes = await fan_out(delegate, [order] * _positive("n", n), at_once, ready)
    good = [outcome for outcome in outcomes if outcome.ok]
    if len(good) < 2:
        return good[0] if good else outcomes[-1]
    choice: object = await judge(good)
    if isinstance(choice, bool) or not isinstance(choice, int) or not 0 <= choice < len(good):
        raise SpecError(f"the judge answered {choice!r}; give a number from 0 to {len(good) - 1}")
    return good[choice]


async def retry(
    delegate: Delegate[O, E],
    order: O,
    check: Callable[[E], Awaitable[str | None]],
    attempts: int,
    again: Callable[[O, E, str], O],
) -> E:
    """Hand a task out until its outcome passes; what was wrong goes into the next attempt.

    ``check`` gives None for an outcome that passes, else what was wrong with it. ``again`` makes
    the next order from the one before, its outcome and that text. The last outcome is returned
    also where it did not pass. A failure is not checked: it is tried again as it is.

    Raises:
        TrilemmaError: what handing it out raised; it is not tried again then.
    """
    outcome = await delegate(order)
    for _ in range(_positive("attempts", attempts) - 1):
        if outcome.ok:
            feedback = await check(outcome)
            if feedback is None:
                return outcome
            order = again(order, outcome, feedback)
        outcome = await delegate(order)
    return outcome


def _positive(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(f"{name} must be a whole number from 1 up, not {value!r}")
    return value
