"""Without one control the machine finds a laundering path by itself, and tells it step by step.

The path by a folder is too rare to be found within seconds: ``test_tree_twins`` walks it.
"""

import re
from typing import Any

import pytest
from hypothesis import Phase, settings, strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import run_state_machine_as_test
from tests.trees.conftest import USUAL
from tests.trees.machine import BYTE, Form, Trees, agent
from tests.trees.puppet import TOOLS
from tests.trees.test_tree_twins import (
    FILES_CODE,
    FILES_INTERNET,
    INTERNET_CODE,
    WORK,
    Remove,
    attenuation,
    budgets,
    mediated,
    mediation,
    results,
)

HUNT = settings(
    USUAL,
    max_examples=120,
    stateful_step_count=6,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
)
SECONDS = 2
"""How long a path that was found is made shorter."""


RULES = {
    "work",
    "delegate_to_somebody_new",
    "both_at_once",
    "race",
    "take_a_result",
    "close",
    "crash_under_a_call",
}
"""All but those that open sessions. Those that a path needs none of are left out of its hunt."""


class Hunt(Trees):
    """Few kinds of agents, so that a path is soon found. Its ledgers need not be sound."""

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end(sound=False)


def roots(*children: Form) -> st.SearchStrategy[Form]:
    """Agents with one folder and one sub-agent."""
    pairs = st.sampled_from([FILES_CODE, FILES_INTERNET, INTERNET_CODE])
    below = st.sampled_from([[child] for child in children] or [[]])
    return st.builds(agent, pairs, st.just(WORK), below, st.just([]))


def helper(crossing: object) -> Form:
    return {"agent": "helper", **mediated(crossing)}


WIDER: Form = {
    "agent": "helper",
    "mode": "attenuated",
    "grants": ["internet"],
    "tools": list(TOOLS),
    "workspace": "none",
}


def hunted(kinds: st.SearchStrategy[Form], rules: tuple[str, ...]) -> str:
    """What the machine, with these rules of its own, says of the path that it found."""
    others = RULES.difference(rules)
    machine: Any = type("Here", (Hunt,), {"roots": kinds, **dict.fromkeys(others)})
    with pytest.raises(AssertionError, match="laundering path") as found:
        run_state_machine_as_test(machine, settings=HUNT)
    return str(found.value)


@pytest.mark.parametrize(
    ("remove", "kinds", "rules", "told"),
    [
        (attenuation, roots(WIDER), ("work",), r"domain \d+ runs \w+ with .*internet"),
        (
            mediation,
            roots(helper("free")),
            ("work",),
            r"strangers write something\n  2\. domain \d+ reads the answer of helper",
        ),
        (
            results,
            roots(),
            ("work", "take_a_result"),
            r"domain \d+ is (given|told) an earlier result",
        ),
        (budgets, roots(helper(BYTE)), ("work",), r"domain \d+ hears 48 bits in all, of 40 "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_sabotage_without_one_control_the_machine_finds_a_path(
    remove: Remove,
    kinds: st.SearchStrategy[Form],
    rules: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "MAX_SHRINKING_SECONDS", SECONDS)
    remove(monkeypatch)
    said = hunted(kinds, rules)
    assert re.match(r"laundering path: domain \d+ has .*\n  1\. ", said)
    assert re.search(rf"\n  \d+\. {told}", said)
