"""What is wrong in an agent's file is said with its line and column."""

from pathlib import Path

import pytest

from trilemma.errors import SpecError
from trilemma.gateway.agentfile import load_agent
from trilemma.policy.operator import load_operator_policy

WRONG = {
    "7:5: tools[0]: a tool is a name": "name: desk\nmodel: gullible\n\n\ntools:\n\n  - comand: x\n",
    "3:1: grnats: unknown field": "name: desk\nmodel: gullible\ngrnats: [files]\n",
    "3:1: grants: grants asks for three": "name: a\nmodel: m\ngrants: [files, internet, code]\n",
    "4:3: limits.steps": "name: desk\nmodel: gullible\nlimits:\n  steps: many\n",
    "5:5: agents[0].attenuated.colour": (
        "name: desk\nmodel: gullible\nagents:\n  - agent: web\n    colour: red\n"
    ),
    "9:7: agents[0].mediated.spec.colour": (
        "name: desk\nmodel: gullible\nagents:\n  - agent: web\n    mode: mediated\n"
        "    asks: bool\n    answers: bool\n    spec: {model: gullible,\n      colour: red}\n"
    ),
    "2:8: 'no' is ambiguous": "name: desk\nmodel: no\n",
    "2:1: duplicate key 'name'": "name: desk\nname: other\n",
    "1:7: anchors and aliases": "name: &a desk\n",
    "1:6: a tab": "name:\tdesk\n",
    "1:1: the file is empty": "",
}


@pytest.mark.parametrize(("message", "text"), WRONG.items())
def test_a_mistake_has_its_place(message: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_agent(file)
    assert f"{file}:{message}" in str(caught.value)


def test_every_mistake_has_its_own(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("name: desk\nmodel: gullible\nfirst: 1\nsecond: 2\n")
    with pytest.raises(SpecError) as caught:
        load_agent(file)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{file}:3:1", f"{file}:4:1"]


def test_a_policy_too(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\negress:\n  allow:\n    - host: '*.com'\n")
    with pytest.raises(SpecError, match=r":4:7: egress.allow\[0\].host"):
        load_operator_policy(file)
