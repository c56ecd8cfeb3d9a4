"""``trilemma runs`` and ``trilemma resume``: a killed run goes on, and nothing is done twice."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.conftest import Cli, eventually

pytestmark = [pytest.mark.docker, pytest.mark.root]

TASK = (
    'CALL run_code {"language": "shell", "code": "echo once >> log; sleep 30"}\n'
    'CALL run_code {"language": "shell", "code": "cat log"}'
)


def runs(cli: Cli) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("runs", "--json").out.splitlines()]


@pytest.fixture
def killed(cli: Cli, agent: str) -> str:
    """A run whose process was killed in the middle of a call that had had its effect."""
    process = cli.start("run", agent, TASK)
    layers = cli.home / "state" / "layers"
    eventually(lambda: list(layers.glob("*/upper/log")))
    assert [run["state"] for run in runs(cli)] == ["running"]
    (run,) = runs(cli)
    refused = cli("resume", run["run"])
    assert refused.status == 2
    assert "is running" in refused.line
    process.kill()
    process.communicate()
    eventually(lambda: not cli.leftovers())
    return str(run["run"])


def test_a_killed_run_goes_on_and_does_nothing_twice(cli: Cli, agent: str, killed: str) -> None:
    listed = cli("runs").out
    assert "interrupted" in listed
    assert f"go on: trilemma resume {killed}" in listed
    ended = cli("resume", killed)
    assert ended.status == 0
    assert ended.out.endswith("The last one returned:\nonce\n\n")
    assert [run["state"] for run in runs(cli)] == ["done"]
    again = cli("resume", killed)
    assert again.status == 2
    assert "has ended (done)" in again.line


def test_another_agent_does_not_go_on_with_it(cli: Cli, agent: str, killed: str) -> None:
    text = Path(agent).read_text()
    Path(agent).write_text(text.replace("name: worker", "name: worker\ninstructions: Be bold."))
    refused = cli("resume", killed)
    assert refused.status == 2
    assert "the agent has changed since (instructions)" in refused.line
    assert "refused: run" in cli("runs").out
    Path(agent).write_text(text)
    assert cli("resume", killed).status == 0


def test_a_run_is_forgotten_when_asked(cli: Cli, agent: str, killed: str) -> None:
    assert cli("runs", "--forget", killed).status == 0
    assert cli("runs").out == "nothing has run here yet\n"
    assert cli("runs", "--forget", killed).status == 2


def test_nothing_has_run(alone: Cli) -> None:
    assert alone("runs").out == "nothing has run here yet\n"
    assert "there is no run" in alone("resume", "run_0123456789abcdef").line
