"""The contract question: nothing is written without a yes, and nothing that stood is lost."""

from pathlib import Path

import pytest

from trilemma.cli.contracts import add_contract, settle
from trilemma.cli.failure import Stop
from trilemma.errors import SpecError
from trilemma.inference.names import model_ref
from trilemma.policy.operator import load_operator_policy

OUTSIDE = "anthropic/claude-sonnet-4-5"


def test_a_yes_is_written_where_there_was_no_policy(tmp_path: Path) -> None:
    policy = tmp_path / "config" / "policy.yaml"
    settle(model_ref(OUTSIDE), policy, "yes")
    assert load_operator_policy(policy).providers.under_contract == ("anthropic",)


def test_what_stood_in_the_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "version: 1\nproviders: {under_contract: [openai]}\napproval: {tools: [write_file]}\n"
    )
    add_contract(policy, "anthropic")
    loaded = load_operator_policy(policy)
    assert loaded.providers.under_contract == ("openai", "anthropic")
    assert loaded.approval.tools == ("write_file",)


def test_a_no_writes_nothing_and_says_how_to_go_on(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    assert "under_contract: [anthropic]" in settle(model_ref(OUTSIDE), policy, "no")
    assert not policy.exists()


def test_nobody_to_ask_writes_nothing(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    with pytest.raises(Stop, match=r"add --contract yes or --contract no$"):
        settle(model_ref(OUTSIDE), policy, "ask")
    assert not policy.exists()


def test_the_built_in_model_needs_no_contract(tmp_path: Path) -> None:
    assert settle(model_ref("gullible"), tmp_path / "policy.yaml", "ask") == ""


def test_a_policy_that_is_written_wrong_is_not_touched(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nproviders: {undr_contract: []}\n")
    before = policy.read_text()
    with pytest.raises(SpecError, match="did you mean 'under_contract'"):
        add_contract(policy, "anthropic")
    assert policy.read_text() == before
