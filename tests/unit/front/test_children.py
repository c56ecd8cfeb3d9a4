"""Sub-agents declared in Python are the same data as in YAML."""

from pathlib import Path
from typing import Any

import pytest

from trilemma import Agent, SpecError, child, mediated
from trilemma.gateway.agentfile import load_agent
from trilemma.gateway.teamspec import AttenuatedSpec, MediatedSpec

YEAR = {"record": {"year": {"integer": {"minimum": 1900, "maximum": 2100}}}}


def lead(**more: Any) -> Agent:
    fields: dict[str, Any] = {
        "model": "gullible",
        "name": "lead",
        "grants": ["files", "code"],
        "tools": ["read_file", "run_code"],
        "workspace": ".",
    }
    return Agent(**(fields | more))


def test_python_and_yaml_declare_the_same(tmp_path: Path) -> None:
    (tmp_path / "team.yaml").write_text(
        """
version: 1
name: lead
model: gullible
grants: [files, code]
tools: [read_file, run_code]
workspace: {path: .}
team: {width: 4}
agents:
  - agent: reviewer
    description: Reads changes.
    tools: [read_file]
    grants: [files]
    workspace: read
    limits: {usd: 0.5}
  - agent: researcher
    mode: mediated
    asks: {record: {year: {integer: {minimum: 1900, maximum: 2100}}}}
    answers: bool
    spec: {name: researcher, model: gullible, grants: [internet]}
"""
    )
    researcher = Agent(model="gullible", name="researcher", grants=["internet"])
    reviewer = child(
        "reviewer",
        "Reads changes.",
        tools=["read_file"],
        grants=["files"],
        workspace="read",
        limits={"usd": 0.5},
    )
    agents = [reviewer, mediated(researcher, asks=YEAR, answers="bool")]
    made = lead(agents=agents, team={"width": 4}).spec
    read = load_agent(tmp_path / "team.yaml")
    assert made.model_dump() == read.model_dump()


def test_an_agent_as_it_is_becomes_attenuated_with_nothing_of_the_folder() -> None:
    reader = Agent(
        model="gullible", name="reader", grants=["files"], tools=["read_file"], instructions="Read."
    )
    (made,) = lead(agents=[reader]).spec.agents
    assert isinstance(made, AttenuatedSpec)
    assert (made.agent, made.instructions, made.tools) == ("reader", "Read.", ("read_file",))
    assert made.limits is not None
    assert made.limits.steps is None, "what nobody wrote is not set aside"
    assert made.workspace == "none"


def test_what_only_a_parent_gives_is_refused_with_the_way_on() -> None:
    other = lead(name="other")
    with pytest.raises(SpecError, match=r"'other' has 'workspace' of its own.*or declare it with"):
        child(other)


def test_a_mediated_agent_keeps_its_own_places(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / "agent.yaml").write_text(
        "{version: 1, name: desk, model: gullible, grants: [files], tools: [read_file],"
        " workspace: {path: notes}}"
    )
    desk = Agent.from_file(folder / "agent.yaml")
    for declared in (
        mediated(desk, asks="bool", answers="bool"),
        mediated(folder / "agent.yaml", name="desk", asks="bool", answers="bool"),
    ):
        (made,) = lead(agents=[declared]).spec.agents
        assert isinstance(made, MediatedSpec)
        assert made.spec is not None
        assert made.spec.workspace is not None
        assert made.spec.base / made.spec.workspace.path == folder / "notes"


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(SpecError, match="is no sub-agent"):
        lead(agents=["reviewer"])
    with pytest.raises(SpecError, match="needs name="):
        mediated("desk.yaml", asks="bool", answers="bool")
    with pytest.raises(SpecError, match=r"has more than its parent: \{internet\} is not"):
        lead(agents=[child("x", grants=["internet"])])
    with pytest.raises(SpecError, match=r"'x' is the name of something else"):
        lead(agents=[child("x"), child("x")])
