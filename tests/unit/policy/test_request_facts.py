"""The facts that a policy engine sees: small, typed, canonical, and of one shape."""

import json
from dataclasses import replace

from hypothesis import given, strategies as st

from trilemma.policy.capability import Capability
from trilemma.policy.regorus import MAX_FACTS
from trilemma.policy.request import (
    AccessRequest,
    Act,
    Cause,
    DelegationFacts,
    EgressFacts,
    ModelFacts,
    ToolFacts,
    WorkspaceFacts,
)

FULL = AccessRequest(
    Act.EGRESS,
    "me",
    frozenset({Capability.INTERNET}),
    frozenset({Capability.CODE, Capability.FILES}),
    frozenset(Capability),
    label=frozenset({Capability.CODE}),
    tool=ToolFacts("t" * 128, "sha256:" + "0" * 64, declared=True),
    model=ModelFacts("p" * 128, inside=False, under_contract=True),
    workspace=WorkspaceFacts("layer", known=True),
    egress=EgressFacts("h" * 253, 443, "https", "GET", True, True, 2**53, 2**53, limited=False),
    share=frozenset({Capability.INTERNET}),
    delegation=DelegationFacts(
        agent="a" * 64,
        mode="attenuated",
        grants=frozenset({Capability.FILES}),
        down=frozenset({Capability.CODE}),
        free=True,
        bits=2**53,
        bits_left=2**53,
        depth=3,
        children=16,
        total=256,
        wider=("grants", "tools"),
        over=("team_depth",),
    ),
    tainted=True,
    endorsed=True,
    approved=True,
    cause=(Cause("files", 1, "secret", "now"),),
    details=("secret",),
)

# The shape is a contract with policies that other people write: add, never change.
SHAPE = {
    "version": 1,
    "act": "egress",
    "principal": "me",
    "needs": ["internet"],
    "label": ["code"],
    "held": ["files", "code"],
    "grants": ["files", "internet", "code"],
    "share": ["internet"],
    "tool": {"name": "t" * 128, "identity": "sha256:" + "0" * 64, "declared": True},
    "model": {"provider": "p" * 128, "inside": False, "under_contract": True},
    "workspace": {"mode": "layer", "known": True},
    "egress": {
        "host": "h" * 253,
        "port": 443,
        "scheme": "https",
        "method": "GET",
        "structured": True,
        "listed": True,
        "bytes_out": 2**53,
        "budget_left": 2**53,
        "limited": False,
    },
    "delegation": {
        "agent": "a" * 64,
        "mode": "attenuated",
        "grants": ["files"],
        "down": ["code"],
        "free": True,
        "bits": 2**53,
        "bits_left": 2**53,
        "depth": 3,
        "children": 16,
        "total": 256,
        "wider": ["grants", "tools"],
        "over": ["team_depth"],
    },
    "tainted": True,
    "endorsed": True,
    "approved": True,
}


def test_the_shape_of_the_facts_is_fixed() -> None:
    assert FULL.facts() == SHAPE


def test_absent_parts_are_null_and_not_missing() -> None:
    bare = AccessRequest(Act.TOOL, "me", frozenset(), frozenset(), None)
    assert bare.facts().keys() == SHAPE.keys()
    for part in ("tool", "model", "workspace", "egress", "delegation", "grants", "share"):
        assert bare.facts()[part] is None


def test_the_cause_is_not_a_fact() -> None:
    assert "secret" not in json.dumps(FULL.facts())
    assert replace(FULL, cause=(), details=()).facts() == FULL.facts()


def test_the_largest_facts_are_well_below_the_bound() -> None:
    assert len(json.dumps(FULL.facts())) < MAX_FACTS / 4


@given(st.frozensets(st.sampled_from(Capability)))
def test_sets_have_one_order(capabilities: frozenset[Capability]) -> None:
    names = replace(FULL, held=capabilities).facts()["held"]
    assert names == [c for c in ("files", "internet", "code") if c in capabilities]
