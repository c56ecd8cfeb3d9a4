"""Delegation as policy sees it: both halves agree, and a refusal names the flow and a way on."""

from dataclasses import replace
from itertools import combinations, product

import pytest

from trilemma.policy import decide
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import ALL, NONE, Capability, CapabilitySet
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.engine import EngineAnswer
from trilemma.policy.explain import explain
from trilemma.policy.reasons import COUNTED
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import AccessRequest, Act, DelegationFacts

FILES, INTERNET, CODE = (frozenset({c}) for c in Capability)
SETS: list[CapabilitySet] = [frozenset(c) for n in range(4) for c in combinations(sorted(ALL), n)]
PAIRS = [None, *(pair for pair in SETS if len(pair) <= 2)]
ENGINE = RegorusEngine(Bundle.base())
POINT = DecisionPoint(ENGINE)
WEB = DelegationFacts("web", "mediated", INTERNET, free=True, bits_left=9)


def handing(facts: DelegationFacts, label: CapabilitySet = NONE) -> AccessRequest:
    """A {files, code} agent that has read files hands a task on."""
    return AccessRequest(
        Act.DELEGATION, "me", NONE, FILES, FILES | CODE, label=label, delegation=facts
    )


def said(request: AccessRequest) -> str:
    return explain(request, POINT.decide(request))


def within(held: CapabilitySet, pair: CapabilitySet | None) -> bool:
    return len(held) <= 2 and (pair is None or held <= pair)


def test_rego_and_the_hard_rule_agree_on_every_flow() -> None:
    for pair, child, down, label in product(PAIRS, PAIRS, SETS, SETS):
        facts = replace(WEB, grants=child, down=down)
        request = replace(handing(facts, label), held=NONE, grants=pair)
        legal = within(label, pair) and within(down | (child or NONE), child)
        assert ENGINE.evaluate(request.facts()).allow is legal, request
        assert (not decide.hard_rule(request)) is legal, request


class Yes:
    """An engine that allows everything."""

    digest = "sha256:0"

    def evaluate(self, facts: object) -> EngineAnswer:
        return EngineAnswer(allow=True, approval=False, reasons=())


@pytest.mark.parametrize(
    "facts",
    [
        replace(WEB, wider=("tools",)),
        replace(WEB, down=FILES | CODE),
        replace(WEB, down=FILES),
        *(replace(WEB, over=(str(code),)) for code in COUNTED),
    ],
)
def test_no_engine_lifts_what_delegation_may_not_do(facts: DelegationFacts) -> None:
    assert not DecisionPoint(Yes()).decide(handing(facts)).allowed
    assert DecisionPoint(Yes()).decide(handing(WEB)).allowed


def test_without_the_rule_in_code_such_an_engine_lets_it_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide, "delegation_breaks", lambda request: frozenset())
    assert DecisionPoint(Yes()).decide(handing(replace(WEB, down=FILES | CODE))).allowed


def test_a_sub_agent_is_held_to_its_share_whatever_its_domain_holds() -> None:
    for share, needs in product(SETS, SETS):
        request = replace(
            handing(WEB), act=Act.DELEGATION, held=FILES | CODE, needs=needs, share=share
        )
        assert POINT.decide(request).allowed is (needs <= share and needs <= FILES | CODE)


def test_an_answer_that_would_make_three_is_explained_by_its_flow() -> None:
    text = said(handing(WEB, INTERNET))
    assert "[delegation_third]" in text
    assert "Flow: web reads {internet} and hands it back as free text to this agent" in text
    assert "would hold {files, internet, code}" in text
    assert "give 'answers' a type" in text


def test_a_task_that_would_make_three_is_explained_by_its_flow() -> None:
    text = said(handing(replace(WEB, down=FILES | CODE)))
    assert "Flow: this agent reads {files, code} and hands it to web as free text" in text
    assert "give 'asks' a type" in text
    assert "snapshot" in text


def test_where_two_are_enough_other_grants_are_a_way_on() -> None:
    text = said(handing(replace(WEB, down=FILES)))
    assert "start web with grants {files, internet}" in text


def test_where_grants_overlap_attenuation_is_a_way_on() -> None:
    facts = replace(WEB, grants=FILES | INTERNET)
    text = said(handing(facts, FILES | INTERNET))
    assert "make web attenuated, with grants {files}" in text


def test_what_is_wider_is_named() -> None:
    facts = replace(WEB, mode="attenuated", grants=FILES, wider=("tools",))
    text = said(replace(handing(facts), details=("tools: 'x' is not one of its parent's",)))
    assert "- tools: 'x' is not one of its parent's" in text
    assert "give web no more than this agent has" in text
