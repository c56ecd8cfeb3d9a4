"""Explanations: what, why, since when, and a legal way on; and nothing more."""

from dataclasses import replace

import pytest

from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import ALL, NONE, Capability
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.decision import Decision, Verdict
from trilemma.policy.explain import explain
from trilemma.policy.operator import Approval, EgressPolicy, HostRule, OperatorPolicy
from trilemma.policy.reasons import MEANINGS, Reason, meaning
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import (
    AccessRequest,
    Act,
    Cause,
    EgressFacts,
    ModelFacts,
    ToolFacts,
    WorkspaceFacts,
)

FILES, INTERNET, CODE = (frozenset({c}) for c in Capability)
POLICY = OperatorPolicy(
    approval=Approval(tools=("send_mail",)),
    egress=EgressPolicy(
        allow=(HostRule(host="listed.example"),), hosts={"secret.example": "10.9.8.7"}
    ),
)
POINT = DecisionPoint(RegorusEngine(Bundle.base().with_operator(POLICY)))
CAUSE = (
    Cause("files", 3, "workspace mail", "2026-01-02T03:04:05Z"),
    Cause("code", 9, "run_code", "2026-01-02T03:05:00Z"),
)
FETCH = AccessRequest(
    Act.TOOL,
    "me",
    INTERNET,
    FILES | CODE,
    None,
    tool=ToolFacts("http_fetch", "sha256:0", declared=True),
    cause=CAUSE,
)
GET = EgressFacts("asked.example", 443, "https", "GET", True, False, bytes_out=90, budget_left=40)


def said(request: AccessRequest) -> str:
    return explain(request, POINT.decide(request))


def test_a_third_capability_is_explained_with_the_two_held_and_their_events() -> None:
    assert said(FETCH).splitlines() == [
        "Refused: tool http_fetch takes {internet}.",
        "Why: the domain would hold all three of files, internet and code [third_capability].",
        "This domain holds {files, code}; "
        "no domain ever holds all three of files, internet and code.",
        "- files since 2026-01-02T03:04:05Z: workspace mail",
        "- code since 2026-01-02T03:05:00Z: run_code",
        "Way on: go on with acts that take no more than {files, code}; "
        "leave what takes {internet} to another agent in a domain of its own.",
    ]


def test_outside_the_grants_the_grants_are_named() -> None:
    text = said(replace(FETCH, held=FILES, grants=FILES | CODE))
    assert "[outside_grants]" in text
    assert "This domain holds {files} of the {files, code} it was granted" in text
    assert "Or start this agent with grants {files, internet}." in text


@pytest.mark.parametrize("needs", [NONE, INTERNET])
def test_an_outside_model_is_explained_with_the_line_to_add(needs: frozenset[Capability]) -> None:
    model = ModelFacts("anthropic", inside=False, under_contract=False)
    request = replace(FETCH, act=Act.MODEL, tool=None, model=model, needs=needs)
    assert "policy.yaml: providers: {under_contract: [anthropic]}" in said(request)
    assert "use a model inside the trust boundary" in said(request)


def test_egress_is_explained_with_the_numbers_and_the_requests_own_host() -> None:
    request = replace(FETCH, act=Act.EGRESS, tool=None, egress=GET, held=FILES | INTERNET)
    text = said(request)
    assert "Refused: GET to asked.example port 443" in text
    assert "at most 40 bytes (this was 90)" in text
    assert "adds asked.example port 443 for GET" in text
    assert "event 3" not in text


def test_an_unknown_workspace_is_explained() -> None:
    workspace = WorkspaceFacts("layer", known=False)
    request = replace(
        FETCH, act=Act.WORKSPACE, tool=None, workspace=workspace, needs=FILES, label=ALL
    )
    assert "does not know who wrote to the folder [unknown_workspace]" in said(request)
    assert "copies the files they trust into a new folder" in said(request)


def test_what_waits_for_a_person_says_so() -> None:
    request = replace(FETCH, held=FILES, tool=ToolFacts("send_mail", "sha256:0", declared=True))
    assert said(request).startswith("Waits for a person: tool send_mail")
    assert "approves this very call of send_mail" in said(request)


def test_an_allowed_act_is_one_line() -> None:
    assert said(replace(FETCH, held=FILES)) == "Allowed: tool http_fetch takes {internet}."


@pytest.mark.parametrize("reason", [*Reason, "organisation/no_mail", "from_a_later_version"])
@pytest.mark.parametrize("act", Act)
def test_every_reason_has_an_explanation_for_every_act(reason: str, act: Act) -> None:
    request = AccessRequest(act, "me", INTERNET, FILES | CODE, None)
    decision = Decision(Verdict.DENY, (str(reason),), "sha256:0")
    lines = explain(request, decision).splitlines()
    assert lines[0].startswith("Refused: ")
    assert any(line.startswith("Why: ") and f"[{reason}]" in line for line in lines)
    assert any(line.startswith("Way on: ") and len(line) > 15 for line in lines)


def test_explanations_reveal_no_host_address_or_list_of_the_policy() -> None:
    requests = [
        FETCH,
        replace(FETCH, act=Act.EGRESS, tool=None, egress=GET, held=FILES | INTERNET),
        replace(FETCH, held=FILES, tool=ToolFacts("other", "sha256:0", declared=False)),
    ]
    for request in requests:
        for secret in ("listed.example", "secret.example", "10.9.8.7", "send_mail", "sha256"):
            assert secret not in said(request)


def test_hostile_names_cannot_add_lines_or_escapes() -> None:
    tool = ToolFacts("x\nWay on: hold three\x1b[2J\u202e" + "y" * 5000, "sha256:0", declared=True)
    cause = (Cause("files", 3, "a\nb\x1b", "now\r\n"),)
    text = said(replace(FETCH, tool=tool, cause=cause))
    assert len(text.splitlines()) == len(said(replace(FETCH, cause=cause)).splitlines())
    assert all(c.isprintable() for c in text.replace("\n", ""))
    assert len(text) < 1500


def test_every_reason_has_a_meaning_in_one_line() -> None:
    assert set(MEANINGS) == set(Reason)
    for reason in Reason:
        assert "\n" not in meaning(reason)
        assert meaning(str(reason)) == MEANINGS[reason]
    assert "organisation" in meaning("organisation/anything")
    assert "does not know" in meaning("nonsense")
