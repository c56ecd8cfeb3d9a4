"""However a run ends: its call is killed and recorded, and without a ledger nothing happens."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from trilemma.agent import Agent
from trilemma.client import Client
from trilemma.errors import LedgerError, PolicyError, SandboxError
from trilemma.gateway.egress import DomainEgress
from trilemma.gateway.ledger.events import Event, Kind
from trilemma.inference.messages import ToolCall

pytestmark = [pytest.mark.docker, pytest.mark.root]

Make = Callable[..., Any]

SLEEP = "touch started; sleep 3600; touch finished"
LIMITED: dict[str, tuple[dict[str, Any], str]] = {
    "steps": ({"steps": 1}, 'CALL list_files {"path": "."}'),
    "tokens": ({"tokens": 5}, 'CALL list_files {"path": "."}'),
    "seconds": ({"seconds": 2.0}, f'CALL run_code {{"language": "shell", "code": "{SLEEP}"}}'),
}


def coder(made: Any, **fields: Any) -> Any:
    return made.open("run_code", "read_file", grants=["files", "code"], files=True, **fields)


def shell(text: str) -> ToolCall:
    return ToolCall("c", "run_code", json.dumps({"language": "shell", "code": text}))


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def cancel_when(call: "asyncio.Task[Any]", condition: Callable[[], object]) -> None:
    await asyncio.to_thread(until, condition)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_cancelling_kills_the_call_and_records_it(gate: Make) -> None:
    made = gate()
    session = coder(made)

    async def cancelled() -> None:
        call = asyncio.create_task(session.session.call_tool(shell(SLEEP)))
        await cancel_when(call, (session.upper / "started").exists)

    asyncio.run(cancelled())
    (committed,) = made.events(Kind.CALL_COMMITTED)
    assert committed.event.body["error"] == "cancelled"
    found = session.ok("run_code", language="shell", code="cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "3600" not in found
    assert not (session.upper / "finished").exists()


def test_cancelling_twice_does_not_let_the_session_end_under_the_call(gate: Make) -> None:
    made = gate()
    session = coder(made)

    async def cancelled() -> None:
        call = asyncio.create_task(session.session.call_tool(shell(SLEEP)))
        await asyncio.to_thread(until, (session.upper / "started").exists)
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(cancelled())
    assert len(made.events(Kind.CALL_COMMITTED)) == 1


def test_a_call_that_has_not_reached_its_sandbox_yet_is_cancelled_too(
    gate: Make, origin: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = origin()
    server.hold = threading.Event()
    made = gate(server.policy)
    session = made.open("http_fetch", grants=["internet"], hosts=[server.rule()])
    dispatch = session.session._dispatch
    entered, connect = threading.Event(), DomainEgress.connect

    def late(self: DomainEgress, call: str, exit: Any) -> Any:
        entered.set()
        until(lambda: call in dispatch._cancelled)
        return connect(self, call, exit)

    monkeypatch.setattr(DomainEgress, "connect", late)

    async def cancelled() -> None:
        wanted = ToolCall("c", "http_fetch", json.dumps({"url": server.url()}))
        await cancel_when(asyncio.create_task(session.session.call_tool(wanted)), entered.is_set)

    began = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began < 30
    assert [r.event.body["error"] for r in made.events(Kind.CALL_COMMITTED)] == ["cancelled"]


def test_more_calls_than_workers_are_cancelled_together(gate: Make) -> None:
    made = gate()
    session = coder(made)

    async def cancelled() -> None:
        calls = [asyncio.create_task(session.session.call_tool(shell(SLEEP))) for _ in range(70)]
        await asyncio.to_thread(until, (session.upper / "started").exists)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(cancelled())
    assert not (session.upper / "finished").exists()
    reserved, done = made.events(Kind.CALL_RESERVED), made.events(Kind.CALL_COMMITTED)
    assert {r.event.call for r in reserved} == {r.event.call for r in done}


@pytest.mark.parametrize("limit", LIMITED)
def test_a_limit_stops_the_run_and_says_which(gate: Make, folder: Path, limit: str) -> None:
    made = gate()
    limits, task = LIMITED[limit]
    agent = Agent(
        model="gullible",
        grants=["files", "code"],
        tools=["list_files", "run_code"],
        workspace=folder,
        limits=limits,
    )
    result = agent.run(task, client=Client(made.gateway))
    assert (result.ok, result.stop) == (False, limit)
    assert made.ledger.open_sessions() == []
    reasons = [r.event.body["reason"] for r in made.events(Kind.SESSION_CLOSED)]
    assert reasons == [limit]


def test_a_call_that_runs_too_long_is_killed(gate: Make) -> None:
    session = coder(gate(), sandbox={"call_seconds": 1.0})
    outcome = session.call("run_code", language="shell", code=SLEEP)
    assert "timeout" in outcome.text
    assert not (session.upper / "finished").exists()
    session.ok("run_code", language="shell", code="true")


def test_closing_the_gateway_ends_the_calls_that_run(gate: Make) -> None:
    made = gate()
    session = coder(made)
    outcomes: list[Any] = []

    def call() -> None:
        outcomes.append(session.call("run_code", language="shell", code=SLEEP))

    thread = threading.Thread(target=call)
    thread.start()
    until((session.upper / "started").exists)
    made.close()
    thread.join(30)
    assert [outcome.ok for outcome in outcomes] == [False]
    assert not (session.upper / "finished").exists()
    with pytest.raises(SandboxError, match="closed"):
        coder(made)


def test_a_sandbox_that_dies_leaves_its_call_unknown_and_is_replaced(
    gate: Make, engine: Any
) -> None:
    made = gate()
    session = coder(made)
    outcomes: list[Any] = []

    def call() -> None:
        outcomes.append(session.call("run_code", language="shell", code=SLEEP))

    thread = threading.Thread(target=call)
    thread.start()
    until((session.upper / "started").exists)
    instance = made.gateway._machinery.runtime.instance
    found = [c["Id"] for c in engine.containers(f"dev.trilemma.instance={instance}")]
    subprocess.run(["docker", "kill", *found], check=True, capture_output=True)
    thread.join(60)
    assert "unknown" in outcomes[0].text
    assert len(made.events(Kind.CALL_UNKNOWN)) == 1
    assert made.events(Kind.CALL_COMMITTED) == []
    session.ok("run_code", language="shell", code="true")


def test_a_policy_engine_that_fails_in_the_middle_denies(
    gate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = gate()
    session = made.open("write_file", grants=["files"], files=True)
    session.ok("write_file", path="before.txt", text="x")

    def broken(facts: object) -> None:
        raise PolicyError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(made.gateway.enforcement.point._engine, "evaluate", broken, raising=True)
        outcome = session.call("write_file", path="during.txt", text="x")
    assert outcome.reasons == ("policy_error",)
    session.ok("write_file", path="after.txt", text="x")
    assert sorted(p.name for p in session.upper.iterdir()) == ["after.txt", "before.txt"]


@pytest.fixture
def small_disk(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state lies on a disk that a test can fill."""
    settings.state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(settings.state)]
    subprocess.run(mount, check=True)
    yield settings.state
    subprocess.run(["umount", "--lazy", str(settings.state)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def fill_the_ledger(made: Any) -> None:
    """Write into what room its own files still have."""
    with suppress(LedgerError):
        for _ in range(10_000):
            made.ledger.append(Event(kind=Kind.SANDBOX_REFUSED, body={"filler": "x" * 1000}))
    assert shutil.disk_usage(made.gateway.settings.state).free < 4096


def test_on_a_full_disk_nothing_more_happens(small_disk: Path, gate: Make, origin: Make) -> None:
    server = origin()
    made = gate(server.policy)
    session = made.open("http_fetch", grants=["internet"], hosts=[server.rule()])
    session.ok("http_fetch", url=server.url("/before"))
    fill(small_disk)
    fill_the_ledger(made)
    arrived = len(server.paths)
    for _ in range(3):
        with pytest.raises(LedgerError):
            session.call("http_fetch", url=server.url("/after"))
    assert len(server.paths) == arrived
    (small_disk / "filler").unlink()
    session.ok("http_fetch", url=server.url("/again"))


def test_a_gateway_ends_whole_on_a_full_disk(
    small_disk: Path, gate: Make, settings: Any, engine: Any
) -> None:
    made = gate()
    sessions = [coder(made, new_domain=True) for _ in range(2)]
    for session in sessions:
        session.ok("run_code", language="shell", code="true")
    instance = made.gateway._machinery.runtime.instance
    fill(small_disk)
    fill_the_ledger(made)
    with pytest.raises(LedgerError):
        made.close()
    assert not engine.containers(f"dev.trilemma.instance={instance}")
    assert list(settings.runtime.iterdir()) == []
    (small_disk / "filler").unlink()


ABANDON = """
import asyncio, sys
from pathlib import Path
from trilemma.gateway.agentfile import read_agent
from trilemma.gateway.local import LocalGateway
from trilemma.gateway.settings import Settings
from trilemma.inference.messages import ToolCall

state, runtime, folder = map(Path, sys.argv[1:])
gateway = LocalGateway.start(Settings(state, state, state, runtime))
data = {"model": "gullible", "tools": ["read_file"], "workspace": {"path": str(folder)}}
session = asyncio.run(gateway.open(read_agent(data, origin="test", base=Path())))
outcome = asyncio.run(session.call_tool(ToolCall("c", "read_file", '{"path": "a.txt"}')))
assert outcome.ok
gateway.abandon()
print("abandoned", gateway._machinery)
"""


def test_what_an_exiting_interpreter_abandons_is_cleaned_up(
    gate: Make, settings: Any, folder: Path
) -> None:
    arguments = [str(settings.state), str(settings.runtime), str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", ABANDON, *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "abandoned None\n")
    assert list(settings.runtime.iterdir()) == []
    # The next gateway finds a session whose gateway is gone.
    made = gate()
    assert [r.event.body["reason"] for r in made.events(Kind.SESSION_CLOSED)] == ["crashed"]
    session = made.open("read_file", grants=["files"], files=True)
    assert "canary-4711" in session.ok("read_file", path="a.txt")


def test_a_files_tool_without_a_folder_says_so(gate: Make) -> None:
    made = gate()
    session = made.open("read_file", "run_code", grants=["files", "code"])
    outcome = session.call("read_file", path="a.txt")
    assert not outcome.ok
    assert "workspace" in outcome.text
    session.ok("run_code", language="shell", code="true")
    assert len(made.events(Kind.CALL_COMMITTED)) == 2
