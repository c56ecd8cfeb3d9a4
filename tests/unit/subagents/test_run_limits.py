import pytest
from hypothesis import given, strategies as st

from trilemma.errors import LimitReached, SpecError
from trilemma.inference.messages import Usage
from trilemma.subagents.limits import RunLimits, Spent, check


def test_fifty_steps_and_nothing_else_by_default() -> None:
    assert RunLimits() == RunLimits(steps=50, tokens=None, usd=None, seconds=None)


@pytest.mark.parametrize("name", ["steps", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("value", [0, -1, True, "5", float("nan"), float("inf")])
def test_a_limit_is_a_number_above_zero(name: str, value: object) -> None:
    with pytest.raises(SpecError, match=f"limit '{name}' must be a .*number above 0") as raised:
        RunLimits(**{name: value})  # type: ignore[arg-type]
    assert repr(value) in str(raised.value)


@pytest.mark.parametrize("name", ["steps", "tokens"])
def test_steps_and_tokens_are_whole(name: str) -> None:
    with pytest.raises(SpecError, match=r"whole number above 0, not 1\.5"):
        RunLimits(**{name: 1.5})  # type: ignore[arg-type]


def test_steps_cannot_be_unlimited() -> None:
    with pytest.raises(SpecError, match="limit 'steps'"):
        RunLimits(steps=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limits", "usage", "limit"),
    [
        (RunLimits(steps=1), Usage(), "steps"),
        (RunLimits(tokens=10), Usage(6, 4), "tokens"),
        (RunLimits(usd=0.5), Usage(cost_usd=0.5), "usd"),
        (RunLimits(usd=0.5), Usage(priced=False), "usd"),
    ],
)
def test_the_limit_that_is_used_up_is_named(limits: RunLimits, usage: Usage, limit: str) -> None:
    with pytest.raises(LimitReached, match=f"limit of .* {limit}|limit of \\$") as raised:
        check(limits, Spent().after_step(usage))
    assert raised.value.limit == limit


def test_what_is_not_used_up_passes() -> None:
    limits = RunLimits(steps=2, tokens=10, usd=0.5)
    check(limits, Spent().after_step(Usage(5, 4, 5, 0.49)))
    check(RunLimits(), Spent().after_step(Usage(priced=False)))


@given(st.lists(st.builds(Usage, *[st.integers(0, 99)] * 3, st.floats(0, 9), st.booleans())))
def test_usage_adds_up(usages: list[Usage]) -> None:
    spent = Spent()
    for usage in usages:
        spent = spent.after_step(usage)
    assert spent.steps == len(usages)
    assert spent.tokens == sum(u.input_tokens + u.output_tokens for u in usages)
    assert spent.usage.priced == all(u.priced for u in usages)
