import pytest
from hypothesis import given, strategies as st

from trilemma.errors import SpecError
from trilemma.inference.messages import Usage
from trilemma.subagents.limits import UNLIMITED, RunLimits, Spent

NAMES = ["steps", "tokens", "usd", "seconds", "bytes_out"]


def test_fifty_steps_and_nothing_else_by_default() -> None:
    assert RunLimits() == RunLimits(50, None, None, None, None)
    assert RunLimits(None, None, None, None, None) == UNLIMITED


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"limit '{name}' must be a .*number above 0") as raised:
        RunLimits(**{name: value})  # type: ignore[arg-type]
    assert repr(value) in str(raised.value)


@pytest.mark.parametrize("name", ["steps", "tokens", "bytes_out"])
def test_what_is_counted_in_pieces_is_whole(name: str) -> None:
    with pytest.raises(SpecError, match=r"whole number above 0, not 1\.5"):
        RunLimits(**{name: 1.5})  # type: ignore[arg-type]


@given(st.lists(st.builds(Usage, *[st.integers(0, 99)] * 3, st.floats(0, 9), st.booleans())))
def test_usage_adds_up(usages: list[Usage]) -> None:
    spent = Spent()
    for usage in usages:
        spent = spent.after_step(usage)
    assert spent.steps == len(usages)
    assert spent.tokens == sum(u.input_tokens + u.output_tokens for u in usages)
    assert spent.usage.priced == all(u.priced for u in usages)
