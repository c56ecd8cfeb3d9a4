"""Row 71 of the threats: bits that cross beside the values are charged as well, and to whom."""

from typing import Any

import pytest
from tests.integration.teams.stage import DONE, Stage, call, one_of

from trilemma.gateway.delegation import delegations
from trilemma.gateway.delegation.mediated import MediatedRoute
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.workspaces.snapshots import OpenSnapshot

pytestmark = [pytest.mark.docker, pytest.mark.root]

REST = "rest"
CALL_ONE = call("leaf", task="rest")
TREE = 3
"""Sub-agents that the tree may have: the keeper, one of its own or none, another."""


def told(stage: Stage, order: str) -> tuple[bool, int]:
    """Whether ``big`` was refused after a keeper worked, and the bits charged for its answer."""
    before = stage.gateway.enforcement.ledger.head().seq
    spec = {"model": "gullible", "grants": ["files", "code"], "agents": [{"agent": "leaf"}]}
    keeper = {"agent": "keeper", "mode": "mediated", "asks": one_of(REST, CALL_ONE)}
    result = stage.run(
        call("keeper", task=order),
        call("big", task="rest"),
        call("big", task="rest"),
        grants=["internet"],
        team={"total": TREE},
        agents=[keeper | {"answers": DONE, "spec": spec}, {"agent": "big"}],
    )
    passed = stage.gateway.enforcement.ledger.events(kind=Kind.CROSSING_PASSED)
    bits = [e.event.charge for e in passed if e.seq > before and e.event.what == "answer"]
    return any("team_total" in each.reasons for each in result.denials), sum(bits)


def test_what_the_number_of_its_sub_agents_tells_is_charged(stage: Stage) -> None:
    refused, bits = told(stage, CALL_ONE)
    assert refused, "its caller learns of it"
    assert told(stage, REST) == (False, bits)
    assert bits == 2 + 2, "of four values, and of no to three sub-agents"


def test_sabotage_without_that_it_is_told_for_nothing(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MediatedRoute, "_beside", 0)
    assert told(broken, CALL_ONE) == (True, 2)
    assert told(broken, REST) == (False, 2)


def picked(stage: Stage, which: int) -> int:
    """Bits charged where one of four agents below is had to ask, each its own of one ask."""
    spec = {"model": "gullible", "grants": ["internet"]}
    desk = {"mode": "mediated", "asks": one_of(REST), "answers": DONE, "spec": spec}
    lower: list[dict[str, Any]] = [
        {"agent": f"lower{n}", "agents": [desk | {"agent": f"desk{n}"}]} for n in range(4)
    ]
    before = stage.gateway.enforcement.ledger.head().seq
    order = call(f"desk{which}", task=REST)
    stage.run(call(f"lower{which}", task=order), grants=["files"], agents=lower)
    passed = stage.gateway.enforcement.ledger.events(kind=Kind.CROSSING_PASSED)
    return sum(e.event.charge for e in passed if e.seq > before and e.event.what == "ask")


def test_who_is_picked_through_others_of_the_domain_is_charged(stage: Stage) -> None:
    assert picked(stage, 3) == 1 + 2, "that it is asked, and which of four"


def test_sabotage_where_only_ones_own_are_counted_it_is_free(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegations, "mediated_within", len)
    monkeypatch.setattr("trilemma.gateway.admission.mediated_within", lambda agents: 0)
    assert picked(broken, 3) == 1


def accounts(stage: Stage) -> set[str]:
    """The folders charged where an agent reads a snapshot and asks another."""
    before = stage.gateway.enforcement.ledger.head().seq
    spec = {"model": "gullible", "grants": ["internet"]}
    desk = {"agent": "desk", "mode": "mediated", "asks": one_of(REST), "answers": DONE}
    stage.run(
        call("desk", task=REST),
        grants=["files"],
        workspace=stage.own("snapshot"),
        agents=[desk | {"spec": spec}],
    )
    passed = stage.gateway.enforcement.ledger.events(kind=Kind.CROSSING_PASSED)
    return {e.event.workspace for e in passed if e.seq > before} - {""}


def test_a_snapshot_is_no_new_folder_to_be_charged(stage: Stage) -> None:
    once = accounts(stage)
    assert len(once) == 1
    assert accounts(stage) == once


def test_sabotage_where_the_copy_is_charged_each_run_begins_at_nought(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = property(lambda self: self.workspace, lambda self, value: None)
    monkeypatch.setattr(OpenSnapshot, "original", copy, raising=False)
    assert not accounts(broken) & accounts(broken)
