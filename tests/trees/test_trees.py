"""No tree of agents gathers three, whatever it tries."""

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.trees.conftest import USUAL
from tests.trees.machine import Trees
from tests.trees.world import World

DEEDS = {
    "a domain held two",
    "a delegation succeeded: attenuated",
    "a delegation succeeded: mediated",
    "a race was won",
    "a folder was opened: snapshot",
    "a crash was recovered",
    "a call was denied",
}


def left_undone(usual: settings) -> list[str]:
    """Run the machine, and say which of the deeds it never did in all its worlds."""

    class Counted(Trees):
        deeds: ClassVar[Counter[str]] = Counter()

    run_state_machine_as_test(Counted, settings=usual)
    return sorted(deed for deed in DEEDS if not Counted.deeds[deed])


def test_no_tree_of_agents_ever_gathers_three_while_all_is_tried() -> None:
    assert left_undone(USUAL) == []


def test_sabotage_a_machine_that_opens_no_session_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(World, "open", nothing)
    assert left_undone(settings(USUAL, max_examples=3)) == sorted(DEEDS)
