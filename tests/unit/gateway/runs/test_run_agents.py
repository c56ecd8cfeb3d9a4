"""The agents in the agent of a run lie where they lay, also when it goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SpecError, WorkspaceError
from trilemma.gateway.agentfile import load_agent, read_agent
from trilemma.gateway.runs import agents
from trilemma.gateway.schemas import AgentSpec
from trilemma.gateway.workspaces.roots import refuse_rules

CHILD = "model: gullible\nworkspace: {path: data}\n"


def lead(file: str) -> dict[str, Any]:
    """An agent that has another one in a domain of its own, below one that shares its own."""
    asked = {"agent": "far", "mode": "mediated", "asks": "bool", "answers": "bool", "file": file}
    near = {"agent": "near", "mode": "attenuated", "agents": [asked]}
    return {"model": "gullible", "agents": [near]}


@pytest.fixture(params=["in a file", "as data"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> AgentSpec:
    """That agent."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/far.yaml").write_text(CHILD)
    if request.param == "as data":
        return read_agent(lead("sub/far.yaml"), origin="test", base=tmp_path)
    (tmp_path / "lead.yaml").write_text(json.dumps(lead("sub/far.yaml")))
    return load_agent(tmp_path / "lead.yaml")


def again(spec: AgentSpec) -> AgentSpec:
    """The agent, when its run goes on."""
    return agents.agent_of(json.loads(json.dumps(agents.described(spec))), "run_1")


def test_every_agent_lies_where_it_lay(spec: AgentSpec, tmp_path: Path) -> None:
    found = again(spec)
    assert found == spec
    assert [each.base for each in agents._all(found)] == [tmp_path, tmp_path / "sub"]


def test_nobody_may_write_the_file_of_an_agent_in_it(spec: AgentSpec, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="says what the agent may do"):
        refuse_rules(tmp_path / "sub", again(spec).sources)


def test_twin_without_its_place_the_file_is_given_to_whoever_it_binds(
    spec: AgentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_placed", lambda read, places: read)
    refuse_rules(tmp_path / "sub", again(spec).sources)


def test_another_file_of_an_agent_in_it_ends_it(spec: AgentSpec, tmp_path: Path) -> None:
    (tmp_path / "sub/far.yaml").write_text(CHILD + "grants: [internet]\n")
    with pytest.raises(SpecError, match="the agent has changed since"):
        again(spec)
