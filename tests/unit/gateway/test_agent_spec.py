"""Agents as data: what is wrong is said in one line each, with place and value."""

from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import SpecError
from trilemma.gateway.agentfile import load_agent, read_agent
from trilemma.policy.capability import Capability


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    return path


def test_a_whole_agent_is_read(tmp_path: Path) -> None:
    spec = load_agent(
        write(
            tmp_path,
            """
version: 1
name: inbox
instructions: |
  Sort the mail.
model: gullible
grants: [internet, files]
workspace: {path: ./mail, origin: strangers}
tools:
  - read_file
  - module: tools.py
  - command: show
    description: Show a message
    executable: /usr/bin/mshow
    sha256: "0000000000000000000000000000000000000000000000000000000000000000"
    needs: [files]
    argv: ["{message}"]
    arguments:
      message: {type: string, pattern: "[a-z/0-9]+"}
hosts:
  - example.org
  - {host: api.example.org, ports: [8443], methods: [GET]}
limits: {steps: 5, seconds: 30}
""",
        )
    )
    assert spec.granted == frozenset({Capability.FILES, Capability.INTERNET})
    assert spec.base == tmp_path
    assert [rule.host for rule in spec.destinations or ()] == ["example.org", "api.example.org"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model: gullible\ncolour: red\n", "colour"),
        ("model: gullible\nmodel: other\n", "model"),
        ("model: gullible\ngrants: [files, internet, code]\n", "pick two"),
        ("model: gullible\ngrants: [disk]\n", "unknown capability 'disk'"),
        ("model: gullible\ngrants: files\n", "must be a list"),
        ("model: gullible\nlimits: {steps: no}\n", "no"),
        ("model: gullible\nlimits: {steps: '5'}\n", "steps"),
        ("model: gullible\nlimits: {steps: 0}\n", "steps"),
        ("model: gullible\nname: a b\n", "a b"),
        ("name: x\n", "model"),
        ("", "empty"),
        ("model: &m gullible\n", "anchor"),
        ("model:\tgullible\n", "tab"),
        ("model: gullible\nhosts: ['*']\n", "*"),
        ("model: gullible\nhosts: ['*.com']\n", "*.com"),
        ("model: gullible\nworkspace: {path: x, mode: shared}\n", "shared"),
        ("- a\n", "object"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SpecError) as problem:
        load_agent(path)
    assert says in str(problem.value)
    assert str(path) in str(problem.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="trilemma init"):
        load_agent(tmp_path / "none.yaml")


@pytest.mark.parametrize("data", [{"model": object()}, {"model": "gullible", "tools": [print]}])
def test_python_agents_meet_the_same_checks(data: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="not something an agent is made of"):
        read_agent(data, origin="here", base=Path())


@pytest.mark.parametrize("name", ["base", "file"])
def test_where_an_agent_was_found_is_not_a_field(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=rf"{name}: unknown field"):
        load_agent(write(tmp_path, f"model: gullible\n{name}: /etc\n"))


def test_an_agent_knows_the_files_that_make_it(tmp_path: Path) -> None:
    path = write(tmp_path, "model: gullible\ntools: [{module: t.py}, read_file]\n")
    assert set(load_agent(path).sources) == {path, tmp_path / "t.py"}
