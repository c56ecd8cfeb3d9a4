"""Sabotage twins of the Rego rules: with one rule switched off, what it stopped is allowed."""

import re
from dataclasses import replace

import pytest

from trilemma.errors import PolicyError
from trilemma.policy.bundle import Bundle
from trilemma.policy.capability import Capability
from trilemma.policy.operator import Approval, OperatorPolicy
from trilemma.policy.regorus import RegorusEngine
from trilemma.policy.request import (
    AccessRequest,
    Act,
    DelegationFacts,
    EgressFacts,
    ModelFacts,
    ToolFacts,
    WorkspaceFacts,
)

FILES, INTERNET, CODE = (frozenset({c}) for c in Capability)
TOOL = ToolFacts("send_mail", "sha256:0", declared=True)
CALL = AccessRequest(Act.TOOL, "me", FILES, INTERNET, None, tool=TOOL)
GET = EgressFacts("example.org", 443, "https", "GET", True, True, bytes_out=10, budget_left=100)
SEND = AccessRequest(Act.EGRESS, "me", INTERNET, FILES | INTERNET, None, egress=GET)

STOPPED_BY = {
    "facts": AccessRequest(Act.TOOL, "me", FILES, INTERNET, None, tool=None),
    "pick_two": replace(CALL, held=INTERNET | CODE),
    "grants": replace(CALL, grants=INTERNET | CODE),
    "tools": replace(CALL, tool=replace(TOOL, declared=False)),
    "models": AccessRequest(
        Act.MODEL, "me", frozenset(), FILES, None, model=ModelFacts("openai", False, False)
    ),
    "workspaces": AccessRequest(
        Act.WORKSPACE, "me", FILES, FILES, None, workspace=WorkspaceFacts("layer", known=False)
    ),
    "egress": replace(SEND, egress=replace(GET, listed=False)),
    "delegation": AccessRequest(
        Act.DELEGATION,
        "me",
        frozenset(),
        FILES,
        None,
        delegation=DelegationFacts("helper", "attenuated", None, wider=("tools",)),
    ),
    "approval": CALL,
}

POLICY = OperatorPolicy(approval=Approval(tools=("send_mail",)))


def without_rule(name: str, bundle: Bundle) -> Bundle:
    path = f"base/{name}/{name}.rego"
    package = re.search(r"^package \S+$", bundle.modules[path], re.MULTILINE)
    assert package
    off = f"{package[0]}\n\nok := true\n\nreasons contains 1 if false\n"
    return replace(bundle, modules={**bundle.modules, path: off})


def allows(bundle: Bundle, request: AccessRequest) -> bool:
    return RegorusEngine(bundle).evaluate(request.facts()).allow


def request_for(rule: str) -> tuple[Bundle, AccessRequest]:
    request = STOPPED_BY[rule]
    base = Bundle.base()
    if rule == "approval":
        return base.with_operator(POLICY), request
    if rule == "facts":  # no other rule misses the tool once it counts as declared
        return without_rule("tools", without_rule("approval", base)), request
    return base, request


@pytest.mark.parametrize("rule", STOPPED_BY)
def test_a_rule_stops_what_its_absence_lets_through(rule: str) -> None:
    bundle, request = request_for(rule)
    assert not allows(bundle, request)
    assert allows(without_rule(rule, bundle), request)


@pytest.mark.parametrize("rule", STOPPED_BY)
def test_a_rule_that_says_nothing_refuses(rule: str) -> None:
    bundle, _ = request_for(rule)
    path = f"base/{rule}/{rule}.rego"
    silent = f"package trilemma.{rule}\n\nreasons contains 1 if false\n\nok if false\n"
    request = replace(CALL, tool=replace(TOOL, name="read_file"))
    assert allows(bundle, request)
    broken = replace(bundle, modules={**bundle.modules, path: silent})
    with pytest.raises(PolicyError, match="contradicts itself"):
        RegorusEngine(broken).evaluate(request.facts())


def test_every_rule_has_a_twin() -> None:
    rules = {p.split("/")[1] for p in Bundle.base().modules if p.count("/") == 2}
    assert rules - {"organisation"} == set(STOPPED_BY)
