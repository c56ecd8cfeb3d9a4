"""No tree of agents gathers three, whatever it tries."""

from hypothesis.stateful import run_state_machine_as_test
from tests.trees.conftest import USUAL
from tests.trees.machine import Trees


def test_no_tree_of_agents_ever_gathers_three() -> None:
    run_state_machine_as_test(Trees, settings=USUAL)
