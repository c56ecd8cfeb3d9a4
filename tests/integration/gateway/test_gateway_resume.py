"""Runs in real sandboxes go on in the place of another process, or say clearly why not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.conftest import Gate

from trilemma.client import Client
from trilemma.errors import Denied, SpecError, WorkspaceError
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.ledger.events import Kind
from trilemma.gateway.runs.places import Runs, Status
from trilemma.policy.capability import parse
from trilemma.result import Result
from trilemma.subagents.events import Event, ToolReturned

pytestmark = [pytest.mark.docker, pytest.mark.root]

TASK = (
    'CALL write_file {"path": "note.txt", "text": "kept"}\n'
    'CALL run_code {"language": "shell", "code": "cat note.txt"}'
)
Make = Callable[..., Gate]


class Interrupted(BaseException):
    """Whoever watches the run goes away, and the run with them."""


def agent(made: Gate, **fields: Any) -> Any:
    data = {
        "model": "gullible",
        "grants": ["files", "code"],
        "tools": ["read_file", "write_file", "run_code"],
        "workspace": {"path": str(made.folder), "origin": "own"},
        **fields,
    }
    return read_agent(data, origin="test", base=made.folder.parent)


def interrupted(made: Gate, **fields: Any) -> Status:
    """A run that was interrupted after its first call."""

    def on_event(event: Event) -> None:
        if isinstance(event, ToolReturned):
            raise Interrupted

    with pytest.raises(Interrupted):
        asyncio.run(Client(made.gateway).run(agent(made, **fields), TASK, on_event=on_event))
    (status,) = Runs.of(made.gateway.settings.state)
    assert status.resumable
    return status


def resume(made: Gate, run: str, **options: Any) -> Result:
    return asyncio.run(Client(made.gateway).resume(run, **options))


def test_it_goes_on_in_its_domain_with_its_layer(gate: Make) -> None:
    made = gate()
    status = interrupted(made)
    before = next(r.event for r in made.events(Kind.SESSION_OPENED))
    again = gate()
    result = resume(again, status.run)
    assert result.text.endswith("The last one returned:\nkept")
    assert result.run == status.run
    assert result.domain == before.domain
    assert result.session != before.session
    assert result.labels == parse(["files", "code"])
    assert len(made.events(Kind.LAYER_CREATED)) == 1
    assert not (made.folder / "note.txt").exists()
    calls = [r.event.what for r in made.events(Kind.CALL_RESERVED)]
    assert calls == ["write_file", "run_code"]
    assert [s.state for s in Runs.of(made.gateway.settings.state)] == ["done"]


def test_what_its_domain_holds_it_still_holds(gate: Make) -> None:
    """It may not take a third by beginning anew."""
    made = gate()
    status = interrupted(made, grants=None, tools=["write_file", "run_code", "http_fetch"])
    again = gate()
    seen: list[Event] = []
    resume(again, status.run, on_event=seen.append)
    held = [event for event in seen if event.kind == "session_opened"]
    assert [getattr(event, "held", None) for event in held] == [parse(["files"])]


def test_a_layer_that_is_gone_ends_it_with_a_reason(gate: Make) -> None:
    made = gate()
    status = interrupted(made)
    (layer,) = list(made.gateway._machinery.workspaces.layers)  # type: ignore[union-attr]
    made.gateway._machinery.workspaces.layers.remove(layer)  # type: ignore[union-attr]
    with pytest.raises(WorkspaceError, match="there is no layer"):
        resume(made, status.run)
    (refused,) = Runs.of(made.gateway.settings.state)
    assert (refused.state, refused.resumable) == ("refused", True)
    assert "there is no layer" in refused.why


def test_a_label_that_moved_ends_it_with_a_reason(gate: Make) -> None:
    made = gate()
    status = interrupted(made)
    strangers = made.open(
        "write_file",
        grants=["files", "internet"],
        workspace={"path": str(made.folder), "mode": "direct"},
        new_domain=True,
    )
    strangers.close()
    with pytest.raises(Denied, match="third_capability"):
        resume(made, status.run)
    (refused,) = Runs.of(made.gateway.settings.state)
    assert refused.state == "refused"
    assert "workspace" in refused.why


def test_a_folder_that_another_domain_has_may_be_tried_again(gate: Make) -> None:
    made = gate()
    status = interrupted(made)
    direct = {"path": str(made.folder), "mode": "direct"}
    other = made.open("write_file", grants=["files"], workspace=direct, new_domain=True)
    with pytest.raises(WorkspaceError, match="is in use"):
        resume(made, status.run)
    other.close()
    assert resume(made, status.run).ok


def test_another_source_of_its_tools_ends_it(gate: Make, tmp_path: Path) -> None:
    tools = tmp_path / "tools.py"
    source = (
        "from trilemma import tool\n\n@tool(needs=[])\n"
        'def one() -> str:\n    "One."\n    return "{}"\n'
    )
    tools.write_text(source.format("old"))
    made = gate()
    fields = {"tools": ["write_file", "run_code", {"module": str(tools)}]}
    status = interrupted(made, **fields)
    tools.write_text(source.format("new"))
    with pytest.raises(SpecError, match="the source of its tools"):
        resume(made, status.run)
    tools.write_text(source.format("old"))
    assert resume(made, status.run).ok


def test_policy_may_refuse_it(gate: Make) -> None:
    """It was under contract when the run began."""
    made = gate()
    status = interrupted(made)
    rego = made.gateway.settings.config / "rego"
    rego.mkdir(parents=True)
    rule = 'package organisation\n\ndeny contains "closed" if input.act == "workspace"\n'
    (rego / "closed.rego").write_text(rule)
    again = gate(policy=f"rego: {rego}\n")
    with pytest.raises(Denied, match="closed"):
        resume(again, status.run)
