"""A call that waits for a person: yes at a terminal allows it, anything else denies it."""

from pathlib import Path

import pytest

from .conftest import Cli, Terminal

pytestmark = [pytest.mark.docker, pytest.mark.root]

TASK = r'CALL write_file {"path": "new.txt", "text": "\u001b[2Jhello"}'
QUESTION = r"Allow this one call\? \[y/N\]"


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\napproval: {tools: [write_file]}\n")
    return str(path)


def asked(cli: Cli, agent: str, policy: str) -> Terminal:
    terminal = cli.terminal("run", agent, TASK, "--policy", policy)
    terminal.await_text(QUESTION)
    return terminal


def test_yes_allows_this_call(cli: Cli, agent: str, policy: str) -> None:
    terminal = asked(cli, agent, policy)
    assert r'{"path":"new.txt","text":"\u001b[2Jhello"}' in terminal.seen
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "holds 1 change" in terminal.seen
    assert "approval.given" in cli("audit", "show").out


@pytest.mark.parametrize("answer", ["\n", "n\n", "yess\n"])
def test_anything_else_denies_it(cli: Cli, agent: str, policy: str, answer: str) -> None:
    terminal = asked(cli, agent, policy)
    terminal.type(answer)
    assert terminal.end() == 0
    assert "no changes to the workspace" in terminal.seen
    assert "approval.refused" in cli("audit", "show").out


def test_keys_pressed_before_the_question_do_not_answer_it(
    cli: Cli, agent: str, policy: str
) -> None:
    terminal = cli.terminal("run", agent, TASK, "--policy", policy)
    terminal.type("y\n")
    terminal.await_text(QUESTION)
    terminal.type("\n")
    assert terminal.end() == 0
    assert "no changes to the workspace" in terminal.seen


def test_without_a_terminal_it_is_denied(cli: Cli, agent: str, policy: str) -> None:
    ended = cli("run", agent, TASK, "--policy", policy, stdin="y\n")
    assert ended.status == 0
    assert "no changes to the workspace" in ended.err


def test_an_interrupt_withdraws_the_question(cli: Cli, agent: str, policy: str) -> None:
    terminal = asked(cli, agent, policy)
    terminal.process.send_signal(2)
    assert terminal.end() == 130
    assert "(withdrawn)" in terminal.seen
    assert "approval.given" not in cli("audit", "show").out
