"""The proof by enumeration: the Rego base policy and the hard rule agree on every state."""

from itertools import chain, combinations, product

import pytest

from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import ALL, CapabilitySet
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.decision import Verdict
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import AccessRequest, Act, ModelFacts, ToolFacts
from trilemma.policy.rule import violation

TOOL = ToolFacts("tool", "sha256:0", declared=True)


def subsets(limit: int = 3) -> list[CapabilitySet]:
    return [frozenset(c) for n in range(limit + 1) for c in combinations(sorted(ALL), n)]


HELD = subsets(2)
GRANTS = [None, *subsets(3)]


def requests() -> list[AccessRequest]:
    return [
        AccessRequest(Act.TOOL, "me", needs, held, grants, label=label, tool=TOOL)
        for held, needs, label, grants in product(HELD, subsets(), subsets(), GRANTS)
    ]


@pytest.fixture(scope="module")
def engine() -> RegorusEngine:
    return RegorusEngine(Bundle.base())


def test_every_state_is_enumerated() -> None:
    assert len(HELD) == 7
    assert len(requests()) == 7 * 8 * 8 * 9


def test_rego_and_the_hard_rule_agree_on_every_state(engine: RegorusEngine) -> None:
    for request in requests():
        broken = violation(request.held, request.taking, request.grants)
        answer = engine.evaluate(request.facts())
        assert answer.allow is (broken is None), request
        assert broken is None or str(broken) in answer.reasons, request
        third = len(request.held | request.taking) > 2
        assert ("third_capability" in answer.reasons) is third, request


def test_the_decision_is_allow_exactly_where_the_rule_is_kept(engine: RegorusEngine) -> None:
    point = DecisionPoint(engine)
    for request in requests():
        after = request.held | request.taking
        legal = len(after) <= 2 and (request.grants is None or after <= request.grants)
        decision = point.decide(request)
        assert decision.verdict is (Verdict.ALLOW if legal else Verdict.DENY), request
        assert bool(decision.reasons) is not legal, request


def test_an_undeclared_tool_is_refused_in_every_state(engine: RegorusEngine) -> None:
    point = DecisionPoint(engine)
    tool = ToolFacts("stranger", "sha256:0", declared=False)
    for held, needs, grants in product(HELD, subsets(), GRANTS):
        request = AccessRequest(Act.TOOL, "me", needs, held, grants, tool=tool)
        decision = point.decide(request)
        assert decision.verdict is Verdict.DENY, request
        assert {"third_capability", "undeclared_tool"} <= set(decision.reasons), request


def test_model_calls_agree_in_every_state(engine: RegorusEngine) -> None:
    point = DecisionPoint(engine)
    flags = product((True, False), repeat=2)
    for held, needs, grants, (inside, contract) in product(HELD, subsets(), GRANTS, flags):
        model = ModelFacts("provider", inside=inside, under_contract=contract)
        request = AccessRequest(Act.MODEL, "me", needs, held, grants, model=model)
        counted = inside or contract or "internet" in needs
        legal = counted and violation(held, needs, grants) is None
        answer = engine.evaluate(request.facts())
        assert answer.allow is legal, request
        assert point.decide(request).allowed is legal, request
        assert ("outside_model_without_internet" in answer.reasons) is not counted, request


def test_labels_count_like_needs(engine: RegorusEngine) -> None:
    for held, taking in product(HELD, subsets()):
        by_need = AccessRequest(Act.TOOL, "me", taking, held, None, tool=TOOL)
        by_label = AccessRequest(Act.TOOL, "me", frozenset(), held, None, label=taking, tool=TOOL)
        assert engine.evaluate(by_need.facts()) == engine.evaluate(by_label.facts())


def test_no_list_of_states_is_empty() -> None:
    assert set(chain.from_iterable(subsets())) == ALL
