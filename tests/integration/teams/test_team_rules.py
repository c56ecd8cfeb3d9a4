"""No agent of a team writes what says what the agents above it may do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.integration.teams.stage import DONE, Stage, call, one_of

from trilemma.client import Client
from trilemma.gateway.admission import Admission
from trilemma.gateway.agentfile import load_agent

pytestmark = [pytest.mark.docker, pytest.mark.root]

WIDEN = call("write_file", path="lead.yaml", text="other grants")


def lead_after(stage: Stage) -> str:
    """What the lead's file says after a mediated agent had its folder mounted directly."""
    home = stage.folder
    writer: dict[str, Any] = {"model": "gullible", "grants": ["files"], "tools": ["write_file"]}
    writer |= {"workspace": {"path": str(home), "origin": "own", "mode": "direct"}}
    inner = {"agent": "writer", "mode": "mediated", "asks": one_of(WIDEN), "answers": DONE}
    file = Path(home) / "lead.yaml"
    lead = {"name": "lead", "model": "gullible", "grants": ["internet"]}
    # JSON is YAML.
    file.write_text(json.dumps(lead | {"agents": [inner | {"spec": writer}]}))
    task = call("writer", task=WIDEN)
    running = Client(stage.gateway).run(
        load_agent(file), task, new_domain=True, on_event=stage.events.append
    )
    asyncio.run(running)
    return file.read_text()


def test_a_mediated_agent_cannot_rewrite_who_called_it(stage: Stage) -> None:
    assert '"lead"' in lead_after(stage)


def test_sabotage_where_only_its_own_files_are_kept_from_it_it_does(
    broken: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Admission, "_sources", ())
    assert lead_after(broken) == "other grants"
