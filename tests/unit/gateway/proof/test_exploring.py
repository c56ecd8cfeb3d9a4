"""Every state is looked at by the gateway's own rules; what is refused there is what is proven."""

from pathlib import Path

import pytest

from trilemma.errors import SpecError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.ledger import rules
from trilemma.gateway.local import decision_point
from trilemma.gateway.proof.exploring import Explored, explore
from trilemma.gateway.proof.gathering import Gathering
from trilemma.gateway.proof.reading import read_design, read_team
from trilemma.gateway.schemas import AgentSpec
from trilemma.policy import decide
from trilemma.policy.decide import DecisionPoint
from trilemma.policy.engine import EngineAnswer
from trilemma.policy.operator import OperatorPolicy

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"
POLICY = OperatorPolicy()
POINT = decision_point(POLICY)


class AllowAll:
    """A policy engine that says yes."""

    digest = "sha256:" + "0" * 64

    def evaluate(self, facts: object) -> EngineAnswer:
        return EngineAnswer(True, False, ())


def teams(kind: str) -> list[Path]:
    found = []
    for path in sorted((EXAMPLES / kind).iterdir()):
        try:
            read_team(path)
        except SpecError:
            continue
        found.append(path)
    return found


def explored(path: Path) -> Explored:
    return explore(read_team(path), POLICY, POINT)


def one(**fields: object) -> AgentSpec:
    return read_agent({"model": "gullible"} | fields, origin="test", base=Path("/nowhere"))


@pytest.mark.parametrize("path", [*teams("good"), *teams("bad")], ids=lambda p: p.stem)
def test_the_gate_holds_in_every_state_and_refuses_exactly_what_is_not_proven(path: Path) -> None:
    found = explored(path)
    assert found.whole
    assert found.third is None
    breaches = Gathering(read_design(read_team(path), POLICY)).breaches()
    assert bool(breaches) == bool(found.refusals)


@pytest.mark.parametrize(
    "name", ["task-carries-files.yaml", "answer-is-run.yaml", "earlier-session", "shared-folder"]
)
def test_sabotage_without_the_rule_a_state_with_three_is_found(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "hard_rule", lambda request: frozenset())
    monkeypatch.setattr(rules, "violation", lambda *_: None)
    team = read_team(EXAMPLES / "bad" / name)
    assert explore(team, POLICY, DecisionPoint(AllowAll())).third is not None


def test_the_states_of_one_agent_are_those_that_one_can_count() -> None:
    """Not running; or running with nothing, one, or both of what its two tools take."""
    found = explore(
        [one(grants=["internet", "code"], tools=["http_fetch", "run_code"])], POLICY, POINT
    )
    # run_code runs with the whole pair, so code alone is never held.
    assert found.states == len(["not running", "nothing", "internet", "internet and code"])


def test_a_team_that_is_too_large_is_said_to_be() -> None:
    team = [one(name=f"agent{n}", tools=["http_fetch", "run_code"]) for n in range(8)]
    found = explore(team, POLICY, POINT, most=100)
    assert not found.whole
    assert found.states == 100
