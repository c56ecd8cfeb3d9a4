"""Patterns: order of outcomes, how many at once, and that nothing is left running."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from hypothesis import given, strategies as st

from trilemma.errors import Denied, ModelError, SpecError
from trilemma.subagents.patterns import best_of, collect, fan_out, retry

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    text: str
    ok: bool = True


@dataclass
class Office:
    """Does tasks in the order that ``turns`` gives, and remembers who was at work."""

    turns: Sequence[int] = ()
    now: int = 0
    most: int = 0
    done: int = 0
    cancelled: int = 0

    async def __call__(self, order: str) -> Outcome:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(self.turns[self.done % len(self.turns)] if self.turns else 0):
                await asyncio.sleep(0)
            if order.startswith("refuse"):
                raise Denied(order)
            if order.startswith("wait"):
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        self.done += 1
        return Outcome(f"did {order}", ok=not order.startswith("fail"))


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        result = await work
        assert len(asyncio.all_tasks()) == 1, "nothing is left running"
        return result

    return asyncio.run(main())


@given(st.lists(st.integers(1, 5), min_size=1), st.integers(0, 12), st.integers(1, 5))
def test_outcomes_come_in_the_order_of_the_tasks(turns: list[int], n: int, at_once: int) -> None:
    office = Office(turns)
    outcomes = run(fan_out(office, [str(i) for i in range(n)], at_once))
    assert [outcome.text for outcome in outcomes] == [f"did {i}" for i in range(n)]
    assert office.most == min(n, at_once)


def test_the_first_error_cancels_the_others() -> None:
    office = Office()

    async def main() -> None:
        with pytest.raises(Denied, match=r"^refuse$"):
            await fan_out(office, ["wait", "wait", "refuse", "never begun"], 3)
        assert office.now == 0

    run(main())
    assert (office.cancelled, office.done) == (2, 0)


def test_asked_to_collect_an_error_stops_nobody() -> None:
    office = Office()
    first, second, third = run(collect(office, ["a", "refuse", "b"], 1))
    assert (first, third) == (Outcome("did a"), Outcome("did b"))
    assert isinstance(second, Denied)


def test_a_bug_is_never_collected() -> None:
    async def broken(order: str) -> Outcome:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(collect(broken, ["a"], 1))


def test_cancelling_a_fan_out_cancels_what_it_began() -> None:
    office = Office()

    async def main() -> None:
        task = asyncio.create_task(fan_out(office, ["wait"] * 5, 3))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert (office.cancelled, office.now) == (3, 0)


def test_the_judge_chooses_among_those_that_ended_well() -> None:
    made = 0
    seen: list[Sequence[Outcome]] = []

    async def office(order: str) -> Outcome:
        nonlocal made
        made += 1
        return Outcome(f"{order} {made}", ok=made != 2)

    async def judge(outcomes: Sequence[Outcome]) -> int:
        seen.append(outcomes)
        return 1

    assert run(best_of(office, "go", 3, judge, 2)) == Outcome("go 3")
    assert [[each.text for each in outcomes] for outcomes in seen] == [["go 1", "go 3"]]


@pytest.mark.parametrize(("good", "text"), [({1}, "go 1"), (set(), "go 2")])
def test_nobody_is_judged_where_there_is_no_choice(good: set[int], text: str) -> None:
    made = 0

    async def office(order: str) -> Outcome:
        nonlocal made
        made += 1
        return Outcome(f"{order} {made}", ok=made in good)

    async def judge(outcomes: Sequence[Outcome]) -> int:
        raise AssertionError

    assert run(best_of(office, "go", 2, judge, 1)).text == text


@pytest.mark.parametrize("choice", [-1, 2, True, "0", None])
def test_a_judge_that_names_nobody_is_an_error(choice: Any) -> None:
    async def judge(outcomes: Sequence[Outcome]) -> int:
        return choice  # type: ignore[no-any-return]

    with pytest.raises(SpecError, match="give a number from 0 to 1") as raised:
        run(best_of(Office(), "go", 2, judge, 2))
    assert repr(choice) in str(raised.value)


def _checking(*feedback: str | None) -> Callable[[Outcome], Awaitable[str | None]]:
    left = list(feedback)

    async def check(outcome: Outcome) -> str | None:
        return left.pop(0)

    return check


def _again(order: str, outcome: Outcome, feedback: str) -> str:
    return f"{order}, not {outcome.text!r}: {feedback}"


def test_what_was_wrong_goes_into_the_next_attempt() -> None:
    outcome = run(retry(Office(), "a", _checking("short", None), 5, _again))
    assert outcome.text == "did a, not 'did a': short"


def test_the_last_attempt_is_the_outcome_whatever_it_is() -> None:
    office = Office()
    outcome = run(retry(office, "a", _checking("too long", "dull"), 3, _again))
    assert outcome.text.endswith(": dull")
    assert office.done == 3


def test_a_failure_is_tried_again_as_it_is_and_an_error_is_not() -> None:
    office = Office()
    assert run(retry(office, "fail", _checking(), 3, _again)) == Outcome("did fail", ok=False)
    assert office.done == 3
    tried = 0

    async def unreachable(order: str) -> Outcome:
        nonlocal tried
        tried += 1
        raise ModelError("nobody is there")

    with pytest.raises(ModelError):
        run(retry(unreachable, "a", _checking(), 3, _again))
    assert tried == 1


@pytest.mark.parametrize("number", [0, -1, True, 1.5])
def test_numbers_are_checked_before_anything_begins(number: Any) -> None:
    office = Office()
    for work in (
        fan_out(office, ["a"], number),
        best_of(office, "a", number, lambda _: asyncio.sleep(0, 0), 1),
    ):
        with pytest.raises(SpecError, match="must be a whole number from 1 up"):
            run(work)
    assert office.done == 0


def test_those_that_begin_together_wait_until_all_is_ready() -> None:
    office, asked = Office(), []

    async def ready(together: Sequence[str]) -> None:
        asked.append((list(together), office.done))

    run(fan_out(office, ["a", "b", "c", "d"], 3, ready))
    run(best_of(office, "a", 5, first, 4, ready))
    assert asked == [(["a", "b", "c"], 0), (["a"] * 4, 4)]


async def first(outcomes: Sequence[Outcome]) -> int:
    return 0
