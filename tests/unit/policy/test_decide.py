"""The decision point fails closed and explains itself."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from trilemma.errors import PolicyError
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import ALL, NONE, Capability
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.decision import Verdict
from trilemma.policy.engine import EngineAnswer
from trilemma.policy.operator import Approval, OperatorPolicy
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import AccessRequest, Act, Cause, ModelFacts, ToolFacts

READ = AccessRequest(
    Act.TOOL,
    "me",
    frozenset({Capability.FILES}),
    frozenset({Capability.INTERNET}),
    None,
    tool=ToolFacts("read_file", "sha256:0", declared=True),
    cause=(Cause("internet", 4, "http_fetch", "2026-01-01T00:00:00Z"),),
)


class Answering:
    """An engine with one answer, right or wrong."""

    digest = "sha256:answering"

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def evaluate(self, facts: Mapping[str, Any]) -> EngineAnswer:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer  # type: ignore[return-value]


def point(policy: OperatorPolicy | None = None) -> DecisionPoint:
    return DecisionPoint(RegorusEngine(Bundle.base().with_operator(policy or OperatorPolicy())))


def test_a_legal_act_is_allowed_with_digest_and_cause() -> None:
    decision = point().decide(READ)
    assert decision.allowed
    assert decision.reasons == ()
    assert decision.digest == Bundle.base().digest
    assert decision.taking == {Capability.FILES}
    assert decision.cause == READ.cause


def test_the_cause_never_changes_a_decision() -> None:
    held_two = replace(READ, held=frozenset({Capability.INTERNET, Capability.CODE}))
    for request in (READ, held_two):
        other = replace(request, cause=())
        assert point().decide(request).verdict is point().decide(other).verdict


@pytest.mark.parametrize(
    "answer",
    [
        PolicyError("lost"),
        TimeoutError("late"),
        RecursionError("deep"),
        None,
        True,
        "allow",
        {"allow": True, "approval": False, "reasons": []},
    ],
)
def test_an_engine_without_an_answer_denies(
    answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL):
        decision = DecisionPoint(Answering(answer)).decide(READ)
    assert decision.verdict is Verdict.DENY
    assert decision.reasons == ("policy_error",)


@pytest.mark.parametrize(
    ("allow", "approval", "reasons"),
    [
        (True, True, ()),
        (True, False, ("third_capability",)),
        (1, False, ()),
        (False, False, ()),
        (False, "yes", ("approval_required",)),
    ],
)
def test_an_answer_that_contradicts_itself_denies(
    allow: Any, approval: Any, reasons: tuple[str, ...]
) -> None:
    answer = EngineAnswer(allow, approval, reasons)
    assert DecisionPoint(Answering(answer)).decide(READ).verdict is Verdict.DENY


def test_facts_that_cannot_be_made_deny(caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(READ, principal="a\ud800")
    with caplog.at_level(logging.CRITICAL):
        assert point().decide(broken).reasons == ("policy_error",)


def test_being_interrupted_is_no_answer() -> None:
    with pytest.raises(KeyboardInterrupt):
        DecisionPoint(Answering(KeyboardInterrupt())).decide(READ)


def test_a_tool_that_the_operator_named_waits_for_a_person() -> None:
    policy = OperatorPolicy(approval=Approval(tools=("read_file",)))
    decision = point(policy).decide(READ)
    assert decision.verdict is Verdict.NEEDS_APPROVAL
    assert not decision.allowed
    assert decision.reasons == ("approval_required",)
    assert point(policy).decide(replace(READ, approved=True)).allowed


def test_approval_never_lifts_the_rule() -> None:
    policy = OperatorPolicy(approval=Approval(tools=("read_file",)))
    held_two = frozenset({Capability.INTERNET, Capability.CODE})
    decision = point(policy).decide(replace(READ, held=held_two, approved=True))
    assert decision.verdict is Verdict.DENY
    assert decision.reasons == ("third_capability",)
    waits = EngineAnswer(allow=False, approval=True, reasons=("approval_required",))
    stopped = DecisionPoint(Answering(waits)).decide(replace(READ, held=held_two))
    assert stopped.verdict is Verdict.DENY


YES = EngineAnswer(allow=True, approval=False, reasons=())


def test_an_undeclared_tool_is_stopped_by_code_of_its_own() -> None:
    tool = ToolFacts("stranger", "sha256:0", declared=False)
    request = AccessRequest(Act.TOOL, "me", NONE, NONE, None, tool=tool)
    decision = DecisionPoint(Answering(YES)).decide(request)
    assert decision.reasons == ("third_capability", "undeclared_tool")


def test_an_outside_model_is_stopped_by_code_of_its_own() -> None:
    model = ModelFacts("openai", inside=False, under_contract=False)
    request = AccessRequest(Act.MODEL, "me", NONE, NONE, None, model=model)
    yes = DecisionPoint(Answering(YES))
    assert yes.decide(request).reasons == ("outside_model_without_internet",)
    assert yes.decide(replace(request, model=None)).verdict is Verdict.DENY
    assert yes.decide(replace(request, needs=frozenset({Capability.INTERNET}))).allowed
    assert yes.decide(replace(request, model=replace(model, under_contract=True))).allowed


def test_all_three_at_once_are_never_allowed() -> None:
    assert not point().decide(replace(READ, needs=ALL, held=NONE)).allowed
    assert not point().decide(replace(READ, label=ALL, held=NONE)).allowed
