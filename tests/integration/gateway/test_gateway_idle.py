"""A session that nobody uses holds no container, no mount and no folder, until its next call."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.gateway.conftest import Gate, Opened

from trilemma.errors import WorkspaceError
from trilemma.gateway.alarm import Alarm
from trilemma.gateway.ledger.events import Kind
from trilemma.policy.capability import parse
from trilemma.sandbox.engine import Engine
from trilemma.sandbox.mounts import mounted_below

pytestmark = [pytest.mark.docker, pytest.mark.root]

TOOLS = ("read_file", "write_file", "run_code")
SOON = {"idle_seconds": 0.3}
PATIENCE = 20.0


def containers(engine: Engine, made: Gate) -> list[str]:
    """Of this gateway."""
    assert made.gateway._machinery is not None
    label = f"dev.trilemma.instance={made.gateway._machinery.runtime.instance}"
    return [str(c["Id"]) for c in engine.containers(label)]


def mounts(made: Gate) -> list[Path]:
    assert made.gateway._machinery is not None
    return [Path(p) for p in mounted_below(made.gateway._machinery.runtime.path)]


def eventually(condition: Callable[[], bool]) -> bool:
    """Within a while; whether it came true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def gave_back(engine: Engine, made: Gate) -> bool:
    return not containers(engine, made) and not mounts(made)


def working(made: Gate, **fields: Any) -> Opened:
    """A session that has written something and holds sandboxes."""
    one = made.open(*TOOLS, grants=["files", "code"], files=True, **fields)
    one.ok("write_file", path="note.txt", text="kept")
    one.ok("run_code", language="shell", code="cat note.txt")
    return one


def test_an_idle_session_holds_nothing_and_wakes_with_its_changes(
    gate: Callable[..., Gate], engine: Engine
) -> None:
    made = gate()
    one = working(made, limits=SOON)
    assert containers(engine, made)
    assert mounts(made)
    assert eventually(lambda: gave_back(engine, made))
    ledger = made.ledger
    assert ledger.held(one.session.domain).opened == frozenset()

    # The folder is free: another domain may have it, and give it back.
    other = made.open(*TOOLS, grants=["files", "code"], files=True, new_domain=True)
    assert other.session.domain != one.session.domain
    other.close()

    assert one.ok("read_file", path="note.txt") == "kept"
    assert (
        one.ok("run_code", language="shell", code="cat note.txt; echo more >> note.txt") == "kept"
    )
    assert one.ok("read_file", path="note.txt") == "keptmore\n"
    assert containers(engine, made)
    opened = [r for r in made.events(Kind.WORKSPACE_OPENED) if r.event.session == one.session.id]
    assert len(opened) == 2
    one.close()
    assert eventually(lambda: gave_back(engine, made))


def test_without_idling_everything_stays(
    gate: Callable[..., Gate], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Alarm, "after", lambda self, seconds, act: None)
    made = gate()
    one = working(made, limits=SOON)
    before = containers(engine, made)
    time.sleep(1.0)
    assert containers(engine, made) == before
    assert mounts(made)
    with pytest.raises(WorkspaceError, match="is in use"):
        made.open(
            *TOOLS,
            workspace={"path": str(made.folder), "mode": "direct"},
            grants=["files"],
            new_domain=True,
        )
    one.close()


def test_what_another_domain_took_meanwhile_is_said_and_nothing_is_lost(
    gate: Callable[..., Gate], engine: Engine
) -> None:
    made = gate()
    one = working(made, limits=SOON)
    assert eventually(lambda: gave_back(engine, made))
    direct = {"path": str(made.folder), "mode": "direct"}
    other = made.open(*TOOLS, grants=["files"], workspace=direct, new_domain=True)
    refused = one.call("read_file", path="note.txt")
    assert not refused.ok
    assert "was idle cannot be had now" in refused.text
    assert f"session {other.session.id!r} has it open" in refused.text
    other.close()
    assert one.ok("read_file", path="note.txt") == "kept"
    one.close()


def test_waking_is_decided_anew(gate: Callable[..., Gate], engine: Engine) -> None:
    """Meanwhile the folder took a label that this domain cannot take in."""
    made = gate()
    one = working(made, limits=SOON)
    assert eventually(lambda: gave_back(engine, made))
    direct = {"path": str(made.folder), "mode": "direct"}
    other = made.open("write_file", grants=["files", "internet"], workspace=direct, new_domain=True)
    other.ok("write_file", path="from-outside.txt", text="canary")
    other.close()
    refused = one.call("run_code", language="shell", code="cat from-outside.txt")
    assert not refused.ok
    assert "third_capability" in refused.text
    assert "canary" not in refused.text
    assert one.held == parse(["files", "code"])
    assert eventually(lambda: gave_back(engine, made))
    one.close()


def test_a_call_that_runs_and_a_sub_agents_call_are_use(
    gate: Callable[..., Gate], engine: Engine
) -> None:
    made = gate()
    one = working(made, limits=SOON)
    code = "import time\ntime.sleep(1.2)\nprint(open('note.txt').read())"
    assert one.ok("run_code", language="python", code=code) == "kept\n"
    assert eventually(lambda: gave_back(engine, made))
    one.close()


def test_a_session_that_ends_while_it_is_idle_ends_as_any_does(
    gate: Callable[..., Gate], engine: Engine
) -> None:
    made = gate()
    one = working(made, limits=SOON)
    assert eventually(lambda: gave_back(engine, made))
    one.close()
    closed = [r for r in made.events(Kind.WORKSPACE_CLOSED) if r.event.session == one.session.id]
    assert len(closed) == 1
    assert not made.gateway._awake
    assert not made.gateway._users
