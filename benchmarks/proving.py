"""What proving a team takes, and how that grows with the team."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from trilemma.gateway.proof.gathering import Gathering
from trilemma.gateway.proof.reading import read_design, read_team
from trilemma.policy.operator import OperatorPolicy

from .measure import Finding, Ratio, Sample, Target, timed
from .stage import Stage

TITLE = "Proving a team"
METHOD = """
A folder with one file: an agent that calls the others, each in a domain of its own, with four tools
of its own, a folder that it shares with its neighbour, and free text both ways. Each time the file
is read from disk, made a design, and everything that its domains would gather is found.
"""
_TIMES = 10
_SIZES = (10, 25, 50)
_TOOLS = 4


def run(stage: Stage) -> Finding:
    """Measure."""
    samples = []
    for agents in _SIZES:
        place = _team(stage.root / f"team-{agents}", agents)
        seconds = timed(partial(_prove, place), stage.times(_TIMES))
        name = f"{agents} agents, {agents * _TOOLS} tools"
        samples.append(Sample.of_seconds(name, seconds))
    largest = samples[-1]
    return Finding(
        tuple(samples),
        (Ratio.between(largest, samples[0]),),
        (Target(f"{largest.name}, p50 in ms", largest.p50, 5000),),
    )


def _prove(place: Path) -> None:
    design = read_design(read_team(place), OperatorPolicy())
    if Gathering(design).breaches():
        raise RuntimeError("this team keeps to files and code")


def _team(place: Path, agents: int) -> Path:
    place.mkdir()
    lead = _agent("lead", 0) | {"agents": [_child(n) for n in range(1, agents)]}
    # JSON is YAML.
    (place / "team.yaml").write_text(json.dumps(lead))
    return place


def _child(number: int) -> dict[str, Any]:
    name = f"clerk{number}"
    spec = _agent(name, number)
    return {"agent": name, "mode": "mediated", "spec": spec, "asks": "free", "answers": "free"}


def _agent(name: str, number: int) -> dict[str, Any]:
    return {
        "name": name,
        "model": "gullible",
        "grants": ["files", "code"],
        "tools": [_tool(f"{name}_{each}") for each in range(_TOOLS)],
        "workspace": {"path": f"folder{number // 2}", "origin": "own"},
    }


def _tool(name: str) -> dict[str, Any]:
    return {
        "command": name,
        "description": "Convert a file.",
        "executable": "/usr/bin/convert",
        "sha256": "0" * 64,
        "needs": ["files"],
    }
