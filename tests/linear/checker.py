"""Is a concurrent history one that a sequential object could have given? (Wing and Gong, 1993)

An operation takes effect at one moment between its call and its return. The search tries all orders
that agree with that, and remembers where it was already (Lowe's improvement): a place is the set
of operations that took effect, and the state after them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

Do = TypeVar("Do")
State = TypeVar("State")
Step = Callable[[State, Do], tuple[State, str]]
"""The sequential object: the state after an operation, and what it answers."""

MOST_PLACES = 200_000


@dataclass(frozen=True, slots=True)
class Operation(Generic[Do]):
    """One operation as it was seen from outside."""

    does: Do
    answer: str
    invoked: int
    returned: int
    """Monotonic nanoseconds, comparable between the processes of one machine."""
    by: str = ""


class Verdict(Enum):
    """What the search found."""

    LINEAR = "some order explains it"
    NOT_LINEAR = "no order explains it"
    UNDECIDED = "the search was cut off before it knew"


def search(
    history: Sequence[Operation[Do]],
    step: Step[State, Do],
    start: State,
    *,
    most: int = MOST_PLACES,
) -> Verdict:
    """Look for an order that explains every answer. ``State`` must be hashable."""
    whole = (1 << len(history)) - 1
    waiting: list[tuple[int, State]] = [(0, start)]
    seen = {(0, start)}
    while waiting:
        done, state = waiting.pop()
        if done == whole:
            return Verdict.LINEAR
        for number in _next(history, done):
            after, answer = step(state, history[number].does)
            place = (done | 1 << number, after)
            if answer != history[number].answer or place in seen:
                continue
            if len(seen) >= most:
                return Verdict.UNDECIDED
            seen.add(place)
            waiting.append(place)
    return Verdict.NOT_LINEAR


def require_linear(
    history: Sequence[Operation[Do]],
    step: Step[State, Do],
    start: State,
    *,
    most: int = MOST_PLACES,
) -> None:
    """Fail unless an order was found. Not to know is not to pass.

    Raises:
        AssertionError: with the history in the order of the calls.

    """
    verdict = search(history, step, start, most=most)
    if verdict is not Verdict.LINEAR:
        raise AssertionError(f"{verdict.value}:\n{show(history)}")


def show(history: Sequence[Operation[Do]]) -> str:
    """The history for people: microseconds since its beginning."""
    begin = min((each.invoked for each in history), default=0)
    lines = (
        f"{(each.invoked - begin) // 1000:>8} .. {(each.returned - begin) // 1000:<8} "
        f"{each.by:<8} {each.does} -> {each.answer}"
        for each in sorted(history, key=lambda each: each.invoked)
    )
    return "\n".join(lines)


def _next(history: Sequence[Operation[Do]], done: int) -> list[int]:
    """Operations that may take effect next: none that is left had returned before they began."""
    left = [number for number in range(len(history)) if not done >> number & 1]
    first_return = min(history[number].returned for number in left)
    return [number for number in left if history[number].invoked <= first_return]
