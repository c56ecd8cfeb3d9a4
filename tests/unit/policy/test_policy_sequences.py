"""No sequence of acts reaches three, whatever the policy engine answers; with sabotage twins."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from trilemma.policy import decide
from trilemma.policy.capability import ALL, NONE, CapabilitySet
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.engine import EngineAnswer
from trilemma.policy.request import AccessRequest, Act, ModelFacts, ToolFacts

YES = EngineAnswer(allow=True, approval=False, reasons=())


class Scripted:
    """An engine that says whatever it is told to, and never looks at the facts."""

    digest = "sha256:scripted"

    def __init__(self, answers: list[object]) -> None:
        self._answers = list(answers)

    def evaluate(self, facts: Mapping[str, Any]) -> EngineAnswer:
        answer = self._answers.pop(0) if self._answers else YES
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[return-value]


capability_sets = st.frozensets(st.sampled_from(sorted(ALL)))
grants = st.none() | capability_sets
answers = st.one_of(
    st.just(YES),
    st.builds(
        EngineAnswer,
        allow=st.booleans(),
        approval=st.booleans(),
        reasons=st.lists(st.text()).map(tuple),
    ),
    st.sampled_from([None, True, {"allow": True}, "allow", ValueError("broken"), RuntimeError()]),
)
tools = st.builds(
    ToolFacts, name=st.text(max_size=9), identity=st.just("sha256:0"), declared=st.booleans()
)
models = st.builds(
    ModelFacts, provider=st.text(max_size=9), inside=st.booleans(), under_contract=st.booleans()
)
acts = st.tuples(st.sampled_from(Act), capability_sets, capability_sets, tools, models)


def run(point: DecisionPoint, steps: list[Any], fixed: CapabilitySet | None) -> list[CapabilitySet]:
    """Take whatever is allowed, and say what was held after each step."""
    held, history = NONE, []
    for act, needs, label, tool, model in steps:
        request = AccessRequest(
            act, "me", needs, held, fixed, label=label, tool=tool, model=model, approved=True
        )
        decision = point.decide(request)
        if decision.allowed:
            held |= decision.taking
        history.append(held)
    return history


@settings(max_examples=300, deadline=None)
@given(st.lists(acts, max_size=12), st.lists(answers, max_size=12), grants)
def test_no_sequence_reaches_three_whatever_the_engine_answers(
    steps: list[Any], script: list[object], fixed: CapabilitySet | None
) -> None:
    history = run(DecisionPoint(Scripted(script)), steps, fixed)
    for before, after in zip([NONE, *history], history, strict=False):
        assert before <= after
        assert len(after) <= 2
        assert fixed is None or after <= fixed


ONE_BY_ONE = [
    (Act.TOOL, frozenset({c}), NONE, ToolFacts("tool", "sha256:0", declared=True), None)
    for c in sorted(ALL)
]


def test_an_engine_that_allows_everything_still_reaches_only_two() -> None:
    assert len(run(DecisionPoint(Scripted([])), ONE_BY_ONE, None)[-1]) == 2


def test_sabotage_without_the_hard_rule_three_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "hard_rule", lambda request: frozenset())
    assert run(DecisionPoint(Scripted([])), ONE_BY_ONE, None)[-1] == ALL


def test_sabotage_a_rule_with_another_limit_reaches_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trilemma.policy.rule.LIMIT", 3)
    assert run(DecisionPoint(Scripted([])), ONE_BY_ONE, None)[-1] == ALL
