"""Sub-agents that stand in files of their own."""

from pathlib import Path

import pytest

from trilemma.errors import SpecError
from trilemma.gateway.agentfile import load_agent
from trilemma.gateway.teamspec import MediatedSpec

DESK = """
model: gullible
agents:
  - agent: web
    mode: mediated
    file: {file}
    asks: {{enum: [a, b]}}
    answers: bool
"""


def test_a_file_is_read_against_the_folder_of_whoever_names_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "desk.yaml").write_text(DESK.format(file="sub/web.yaml"))
    (tmp_path / "sub/web.yaml").write_text("model: gullible\ngrants: [internet]\n")
    desk = load_agent(tmp_path / "desk.yaml")
    child = desk.agents[0]
    assert isinstance(child, MediatedSpec)
    assert child.spec is not None
    assert child.spec.base == (tmp_path / "sub").resolve()
    assert (tmp_path / "sub/web.yaml").resolve() in desk.sources


def test_a_file_does_not_name_itself(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text(DESK.format(file="other.yaml"))
    (tmp_path / "other.yaml").write_text(DESK.format(file="desk.yaml"))
    with pytest.raises(SpecError, match="names itself"):
        load_agent(tmp_path / "desk.yaml")


@pytest.mark.parametrize("source", ["", "spec: {model: gullible}\n    file: web.yaml"])
def test_a_mediated_agent_stands_in_one_place(tmp_path: Path, source: str) -> None:
    text = DESK.format(file="web.yaml").replace("file: web.yaml", source or "limits: {steps: 1}")
    (tmp_path / "desk.yaml").write_text(text)
    with pytest.raises(SpecError, match="either 'spec' or 'file'"):
        load_agent(tmp_path / "desk.yaml")
