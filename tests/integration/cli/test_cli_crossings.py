"""What crossed between domains, as a person sees it."""

import json

from trilemma.errors import Denied
from trilemma.gateway.crossings import Crossings, Ends
from trilemma.gateway.enforcement import Actor, Enforcement
from trilemma.gateway.ledger.store import Ledger
from trilemma.gateway.local import decision_point
from trilemma.policy.operator import OperatorPolicy
from trilemma.subagents.crossing.compound import crossing_type

from .conftest import Cli

ENDS = Ends(Actor("user:me", "dom_1", "ses_1", None), "ses_2", frozenset({"ws-1"}))
DIGIT = crossing_type({"integer": {"minimum": 0, "maximum": 9}}, "test")


def cross(cli: Cli, limit: int) -> str:
    """Send one digit up; the crossing's name."""
    with Ledger.open(cli.home / "state" / "ledger.db") as ledger:
        enforcement = Enforcement(ledger, decision_point(OperatorPolicy()))
        try:
            return Crossings(enforcement, limit).pass_up(ENDS, DIGIT, 7).id
        except Denied as refused:
            return refused.call


def test_what_crossed_is_shown_for_each_account_and_each_crossing_explained(alone: Cli) -> None:
    passed = cross(alone, 65_536)
    rows = [json.loads(text) for text in alone("crossings", "--json").out.splitlines()]
    assert [(row["of"], row["name"], row["used"], row["left"]) for row in rows] == [
        ("principal", "user:me", 4, 65_532),
        ("workspace", "ws-1", 4, 65_532),
    ]
    assert "principal user:me" in alone("crossings").out
    assert "charged: workspace ws-1, limit 65536" in alone("why", passed).out


def test_why_a_crossing_was_refused_names_the_account_that_is_used_up(alone: Cli) -> None:
    cross(alone, 5)
    told = alone("why", cross(alone, 5)).out
    assert "principal user:me has 1 left, workspace ws-1 has 1 left" in told


def test_before_anything_crossed_the_limit_of_the_policy_is_shown(alone: Cli) -> None:
    Ledger.open(alone.home / "state" / "ledger.db").close()
    policy = alone.home / "config" / "policy.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text("version: 1\ncrossings: {bits: 512}\n")
    assert alone("crossings").out.startswith("nothing crossed yet; 512 bits may")
