"""The checker itself: it finds an order where there is one, and never takes "unknown" for yes."""

import itertools

import pytest
from hypothesis import given, settings, strategies as st
from tests.linear.checker import Operation, Verdict, require_linear, search

Do = tuple[str, int]


def register(state: int, does: Do) -> tuple[int, str]:
    """One register: written and read."""
    verb, value = does
    return (value, "done") if verb == "write" else (state, str(state))


def op(verb: str, value: int, answer: str, invoked: int, returned: int) -> Operation[Do]:
    return Operation((verb, value), answer, invoked, returned)


def test_a_read_during_a_write_may_see_either_value() -> None:
    write = op("write", 1, "done", 0, 10)
    for answer in ("0", "1"):
        assert search([write, op("read", 0, answer, 2, 5)], register, 0) is Verdict.LINEAR


def test_a_read_after_a_write_must_see_it() -> None:
    history = [op("write", 1, "done", 0, 1), op("read", 0, "0", 2, 3)]
    assert search(history, register, 0) is Verdict.NOT_LINEAR


def test_a_value_that_was_seen_is_not_unseen() -> None:
    history = [
        op("write", 1, "done", 0, 10),
        op("read", 0, "1", 1, 2),
        op("read", 0, "0", 3, 4),
    ]
    assert search(history, register, 0) is Verdict.NOT_LINEAR


def test_a_search_that_could_not_decide_fails() -> None:
    history = [op("write", n, "done", 0, 10) for n in range(8)]
    assert search(history, register, 0, most=20) is Verdict.UNDECIDED
    with pytest.raises(AssertionError, match="cut off before it knew"):
        require_linear(history, register, 0, most=20)


operations = st.builds(
    lambda verb, value, begin, length: op(
        verb, value, "done" if verb == "write" else str(value), begin, begin + length
    ),
    st.sampled_from(["read", "write"]),
    st.integers(0, 1),
    st.integers(0, 6),
    st.integers(1, 6),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, max_size=5))
def test_it_says_what_trying_every_order_says(history: list[Operation[Do]]) -> None:
    assert (search(history, register, 0) is Verdict.LINEAR) == any(
        _explains(order) for order in itertools.permutations(history)
    )


def _explains(order: tuple[Operation[Do], ...]) -> bool:
    if any(b.returned < a.invoked for a, b in itertools.combinations(order, 2)):
        return False
    state = 0
    for each in order:
        state, answer = register(state, each.does)
        if answer != each.answer:
            return False
    return True
