"""Every bad team of the examples fails with what it says of itself, every good one passes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from trilemma.cli.app import app
from trilemma.errors import SpecError
from trilemma.gateway.proof.design import Flow
from trilemma.gateway.proof.gathering import Gathering
from trilemma.gateway.proof.mending import mend
from trilemma.gateway.proof.reading import read_design, read_team
from trilemma.policy.operator import OperatorPolicy

EXAMPLES = Path(__file__).parents[4] / "examples" / "policies"
BAD = sorted((EXAMPLES / "bad").iterdir())
GOOD = sorted((EXAMPLES / "good").iterdir())


def says(path: Path) -> str:
    files = [path] if path.is_file() else sorted(path.glob("*.yaml"))
    found = [m[1] for file in files for m in re.finditer(r"^# says: (.+)$", file.read_text(), re.M)]
    assert len(found) == 1, path
    return found[0]


def proven(path: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["prove", str(path)])
    return (1 if done.exception else 0), f"{done.output}{done.exception or ''}"


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 20
    assert len(GOOD) >= 8


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_bad_team_fails_with_the_right_message(path: Path) -> None:
    failed, text = proven(path)
    assert failed
    assert says(path) in text


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_good_team_passes(path: Path) -> None:
    failed, text = proven(path)
    assert not failed, text
    assert "no domain gathers three" in text


def flawed() -> list[Path]:
    """Those that load: what is wrong with them is a flow."""
    found = []
    for path in BAD:
        try:
            read_team(path)
        except SpecError:
            continue
        found.append(path)
    return found


@pytest.mark.parametrize("path", flawed(), ids=lambda p: p.stem)
def test_each_step_of_a_way_names_something_and_the_advice_closes_it(path: Path) -> None:
    design = read_design(read_team(path), OperatorPolicy())
    breach = Gathering(design).breaches()[0]
    assert breach.steps
    assert mend(design, breach)


def test_sabotage_without_flows_laundering_passes() -> None:
    """What a check of one agent at a time sees: most of these teams look fine to it."""
    passed = []
    for path in flawed():
        design = replace(read_design(read_team(path), OperatorPolicy()), flows=())
        if not Gathering(design).breaches():
            passed.append(path.stem)
    assert len(passed) >= 12


def test_every_kind_of_flow_is_in_an_example() -> None:
    kinds = set()
    for path in flawed():
        design = read_design(read_team(path), OperatorPolicy())
        for breach in Gathering(design).breaches():
            kinds |= {str(step.what.how) for step in breach.steps if isinstance(step.what, Flow)}
    assert kinds == {"asks", "answers", "reads", "writes", "applied"}
